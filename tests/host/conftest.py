"""Tests in the host's own process, on the CPU."""

import pytest

from devtools.pack import load_host

load_host("--cpu")

import architectures  # noqa: E402
import torch  # noqa: E402
from group_inference.sampling import coupling, kept  # noqa: E402

# Models this small lose more to threads that wait for each other than they win by them.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def nothing_is_known_of_models():
    """Each test sees the first run's look at whether a batch keeps candidates apart, and samples itself, whatever ran before."""
    coupling._kept_apart.clear()
    kept.STORE.clear()


@pytest.fixture(scope="session")
def flow_model():
    """Of the flow kind, with 16 latent channels."""
    return architectures.made("FLUX.1 Schnell")


@pytest.fixture(scope="session")
def eps_model():
    """Of the kind that predicts noise, with 4 latent channels."""
    return architectures.made("SD 1.5")


@pytest.fixture
def model(request):
    return request.getfixturevalue(f"{request.param}_model")


@pytest.fixture
def rows(flow_model, monkeypatch):
    """Counts what the model evaluates: with guidance each row twice."""
    forward, seen = flow_model.model.apply_model, []

    def apply_model(x, *args, **kwargs):
        seen.append(len(x))
        return forward(x, *args, **kwargs)

    monkeypatch.setattr(flow_model.model, "apply_model", apply_model)

    def taken():
        count = sum(seen)
        seen.clear()
        return count

    return taken
