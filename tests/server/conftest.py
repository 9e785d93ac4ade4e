import json

import pytest
from shipped import ROOT

from devtools.host import host_in_use
from devtools.server import Server, device_arguments


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running ComfyUI with this pack, on a folder of its own."""
    host = host_in_use()
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with Server(host, device_arguments(host.python), log) as running:
        yield running


@pytest.fixture
def graph():
    """The garden workflow, cut down: 4 of 16 in 8 steps."""
    graph = json.loads((ROOT / "workflows" / "api" / "garden.json").read_text())
    graph["7"]["inputs"] |= {"schedule": "paper", "starting_candidates": 16, "start_percent": 0.15, "steps": 8, "seed": 3}
    return graph
