"""Tests in the host's own process, on the CPU."""

import pytest

from devtools.pack import load_host

load_host("--cpu")

import tiny  # noqa: E402


@pytest.fixture(scope="session")
def flow_model():
    return tiny.flux()


@pytest.fixture(scope="session")
def eps_model():
    return tiny.sd15()


@pytest.fixture
def model(request):
    return request.getfixturevalue(f"{request.param}_model")
