"""Memory: whatever M is, no model call gets more rows than the planner allows, and the rest grows by small latents and pictures."""

from types import SimpleNamespace

import comfy.model_patcher
import pytest
import tiny
import torch
from group_inference.sampling import kept
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SIDE, ROWS = 16, 4
LATENT = 16 * SIDE * SIDE * 4  # bytes, of the flow model


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make and that are still alive; `peak` is the most at any time."""

    def __init__(self):
        super().__init__()
        self.storages, self.live, self.peak = {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if torch.is_tensor(tensor):
                self.see(tensor.untyped_storage())
        if self.live > self.peak:
            self.peak = max(self.peak, self.now())
        return out

    def now(self):
        self.storages = {key: entry for key, entry in self.storages.items() if not entry[0].expired()}
        self.live = sum(size for _, size in self.storages.values())
        return self.live

    def see(self, storage):
        known = self.storages.get(storage._cdata)
        if known is None or known[0].expired():
            self.storages[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
            self.live += storage.nbytes() - (known[1] if known else 0)


def allow(model, monkeypatch, rows, side=SIDE):
    """Make the planner's memory hold `rows` candidates, each with and without the prompt."""
    shape = [2, tiny.channels(model), side, side]
    monkeypatch.setattr(model, "get_free_memory", lambda device: (rows + 0.5) * model.model.memory_required(shape) * 1.5)


def counted(work):
    with LiveBytes() as live:
        work()
    return live


def group(model, candidates, sampler_name="euler", ratio=0.0, **more):
    """A run that keeps all candidates up to the last step unless ratio says otherwise."""
    kept.STORE.clear()
    tiny.group(model, 1, tiny.empty_latent(model, side=SIDE), candidates, 2, sampler_name=sampler_name, ratio=ratio, **more)


def at_calls(model, monkeypatch, work):
    """The bytes alive when each model call begins."""
    forward, found = model.model.apply_model, []

    def apply_model(*args, **kwargs):
        found.append(live.now())
        return forward(*args, **kwargs)

    with monkeypatch.context() as patched, LiveBytes() as live:
        patched.setattr(model.model, "apply_model", apply_model)
        work()
    return found


@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
@pytest.mark.parametrize("candidates", [4, 16, 64])
@pytest.mark.parametrize("allowed", [1, 3])
def test_no_model_call_gets_more_rows_than_the_planner_allows(model, candidates, allowed, monkeypatch):
    forward, rows = model.model.apply_model, []
    monkeypatch.setattr(model.model, "apply_model", lambda x, *args, **kwargs: (rows.append(x.shape[0]), forward(x, *args, **kwargs))[1])
    allow(model, monkeypatch, allowed, side=8)
    _, report = tiny.group(model, 1, tiny.empty_latent(model), candidates, 2, steps=2)
    assert max(rows) == 2 * allowed and sum(rows) - 2 * report["check_rows"] == 2 * report["model_rows"] == 2 * (
        candidates + candidates // 2
    )


@pytest.fixture
def loaded(flow_model):
    """The flow model after a run: what is made once is not counted."""
    tiny.stock(flow_model, 1, tiny.empty_latent(flow_model), steps=1)
    return flow_model


def stock_row(model, monkeypatch, sampler_name):
    """What a row holds in the stock sampler when a model call begins, in bytes."""
    allow(model, monkeypatch, 1000)
    stock = lambda rows: tiny.stock(model, 1, tiny.empty_latent(model, rows, SIDE), sampler_name=sampler_name)
    few, many = (max(at_calls(model, monkeypatch, lambda n=n: stock(n))) for n in (2, 6))
    return (many - few) / 4


def growth(model, monkeypatch, rows, *run, **more):
    """What each of 8 further candidates adds to the peak of a run, in bytes."""
    allow(model, monkeypatch, rows)
    few, many = (counted(lambda n=n: group(model, n, *run, **more)).peak for n in (8, 16))
    return (many - few) / 8


@pytest.mark.parametrize("sampler_name", ["euler", "lms", "dpmpp_2m", "dpmpp_3m_sde"])
def test_a_candidate_holds_seven_latents_and_what_its_sampler_remembers(loaded, sampler_name, monkeypatch):
    """Noise, scaled noise, x, x before the step, the step's direction, its x0, and the x0 that the model has just answered with.
    What a sampler remembers (a Brownian tree about 50 latents) is what its rows hold more than euler's in the stock sampler."""
    memory = stock_row(loaded, monkeypatch, sampler_name) - stock_row(loaded, monkeypatch, "euler")
    assert growth(loaded, monkeypatch, ROWS, sampler_name) < 8 * LATENT + memory


def test_the_count_sees_a_model_call_on_all_candidates(loaded, monkeypatch):
    assert growth(loaded, monkeypatch, 1000) > 3 * 8 * LATENT


def test_a_pruned_candidate_holds_what_is_kept_of_it_alone(loaded, monkeypatch):
    """Its last x0, on the CPU, see kept.py."""
    allow(loaded, monkeypatch, ROWS)
    few, many = (at_calls(loaded, monkeypatch, lambda n=n: group(loaded, n, ratio=1.0))[-1] for n in (8, 16))
    assert (many - few) / 8 < 1.1 * LATENT


class Decoder:
    """A stand-in VAE that needs much more memory while it decodes than its pictures [B, 8h, 8w, 3] take."""

    def __init__(self):
        self.patcher = comfy.model_patcher.ModelPatcher(torch.nn.Identity(), torch.device("cpu"), torch.device("cpu"))

    def decode(self, x0):
        features = x0.repeat(1, 4, 1, 1).repeat_interleave(8, 2).repeat_interleave(8, 3)
        return features[:, :3].movedim(1, -1).contiguous()


def test_pictures_are_decoded_in_chunks(loaded, monkeypatch):
    """A candidate adds its picture, once more while chunks are joined, and its latents."""
    brightness = SimpleNamespace(name="brightness", needs_images=True, score=lambda pool: pool.images.mean((1, 2, 3)))
    picture = 3 * (8 * SIDE) ** 2 * 4
    assert picture < growth(loaded, monkeypatch, ROWS, unary=brightness, vae=Decoder()) < 2 * picture + 8 * LATENT
