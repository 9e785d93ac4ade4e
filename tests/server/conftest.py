import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from devtools.host import Host  # noqa: E402
from devtools.server import Server, device_arguments  # noqa: E402


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running ComfyUI with this pack, on a folder of its own."""
    host = Host(Path(os.environ["COMFYUI_PATH"]), sys.executable, ours=False)
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with Server(host, device_arguments(host.python), log) as running:
        yield running
