"""What runs through a real server, and what comes back."""

import json

import numpy as np
from shipped import api_form


def images(server, entry, node):
    return [np.asarray(picture) for picture in server.pictures(entry, node)]


def report(entry, node="10"):
    return json.loads(entry["outputs"][node]["text"][0])


def run(server, graph):
    entry = server.wait(server.submit(graph))
    assert server.error(entry) is None
    return entry


def garden():
    """The garden workflow, cut down: 4 of 16 in 8 steps."""
    graph = api_form("garden")
    graph["7"]["inputs"] |= {"schedule": "paper", "starting_candidates": 16, "start_percent": 0.15, "steps": 8, "seed": 3}
    return graph
