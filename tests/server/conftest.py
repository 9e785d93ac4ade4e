import pytest
from served import garden

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
    return garden()
