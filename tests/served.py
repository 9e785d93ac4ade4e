"""What runs through a real server, and what comes back."""

import copy
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


# Of both samplers.
SHARED = (
    "starting_candidates", "output_group_size", "pruning_ratio", "lambda_score", "unary", "pairwise", "vae", "start_percent", "objective",
    "schedule",
)  # fmt: skip


def by_group_sampler(graph):
    """A graph whose Group KSampler is node 7, by the host's SamplerCustomAdvanced and node 21, a Group Sampler."""
    graph = copy.deepcopy(graph)
    own = graph["7"]["inputs"]
    some = lambda *names: {name: own[name] for name in names}
    graph |= {
        "20": {"class_type": "KSamplerSelect", "inputs": some("sampler_name")},
        "21": {"class_type": "GroupSampler", "inputs": {"sampler": ["20", 0], **some(*SHARED)}},
        "22": {"class_type": "RandomNoise", "inputs": {"noise_seed": own["seed"]}},
        "23": {"class_type": "CFGGuider", "inputs": some("model", "positive", "negative", "cfg")},
        "24": {"class_type": "BasicScheduler", "inputs": {**some("model", "scheduler", "steps"), "denoise": 1.0}},
        "7": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["22", 0], "guider": ["23", 0], "sampler": ["21", 0], "sigmas": ["24", 0], **some("latent_image")}},
        "25": {"class_type": "GroupReport", "inputs": {"sampler": ["21", 0], "latent": ["7", 0]}},
    }  # fmt: skip
    graph["10"]["inputs"]["source"] = ["25", 0]
    return graph
