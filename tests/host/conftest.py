"""Tests in the host's own process, on the CPU."""

import os
import sys

import pytest

sys.path.insert(0, os.environ["COMFYUI_PATH"])
before, sys.argv = sys.argv, ["main.py", "--cpu"]
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import comfy.cli_args  # noqa: E402, F401

sys.argv = before

import tiny  # noqa: E402
import torch  # noqa: E402

# Models this small lose more to threads that wait for each other than they win by them.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def flow_model():
    return tiny.flux()


@pytest.fixture(scope="session")
def eps_model():
    return tiny.sd15()


@pytest.fixture
def model(request):
    return request.getfixturevalue(f"{request.param}_model")
