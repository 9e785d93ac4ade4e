"""Loads the pack the way ComfyUI does: as one package, under a name of its own."""

import os
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from devtools.pack import load_pack  # noqa: E402

load_pack()


def pytest_addoption(parser):
    parser.addoption("--write-api", action="store_true", help="write the shipped workflows' API forms anew, by the real frontend")
    parser.addoption("--kills", type=int, default=0, metavar="N", help="in how many more runs tests/server/test_workers.py kills workers")
    parser.addoption("--fuzz", type=int, default=40, metavar="N", help="how many prompts tests/server/test_fuzz.py makes up")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches for the network fails instead of passing by luck."""
    connect = socket.socket.connect

    def only_here(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
