"""The training loop: resumable, and the same as without a break."""

import numpy as np
import pytest
import torch
from group_inference.garden.scenes import SIZE, Scene, held_out, leave_open, random_scene, render
from group_inference.garden.training.data import draw_scenes
from group_inference.garden.training.loop import fit


def line():
    torch.manual_seed(0)
    return torch.nn.Linear(2, 1)


def loss_of(model):
    def loss(rng):
        x = torch.from_numpy(rng.normal(size=(8, 2))).float()
        return (model(x) - x.sum(1, keepdim=True) + 0.1 * torch.randn(8, 1)).square().mean()

    return loss


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch, average):
    from group_inference.garden.training import loop

    def train(folder, stop=None):
        folder.mkdir(exist_ok=True)
        model = line()
        loss, calls = loss_of(model), []

        def interruptible(rng):
            calls.append(1)
            if len(calls) == stop:
                raise KeyboardInterrupt
            return loss(rng)

        fit("line", model, interruptible, 60, folder, 1, torch.device("cpu"), lr=0.05, average=average)
        return model.weight.detach().clone()

    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", stop=25)
    assert torch.equal(train(tmp_path / "broken"), whole)
    assert torch.allclose(whole, torch.ones(1, 2), atol=0.2)


def test_scenes_come_from_the_seed_and_are_drawn_once(tmp_path):
    first = draw_scenes("few", 8, 4, tmp_path)
    assert first.pictures.shape == (8, SIZE, SIZE, 3) and len(set(map(tuple, first.attributes.tolist()))) > 1
    before = (tmp_path / "few.npz").stat().st_mtime_ns
    again = draw_scenes("few", 8, 4, tmp_path)
    assert np.array_equal(first.pictures, again.pictures) and (tmp_path / "few.npz").stat().st_mtime_ns == before
    assert all(not held_out(first.where(lambda s: not held_out(s)).scene(i)) for i in range(len(first.where(lambda s: not held_out(s)))))


def test_what_a_caption_says_is_in_the_picture():
    """Red petals are red, and a night is dark."""
    rng = np.random.default_rng(0)
    red, night = render(Scene(0, 0, 2, 0), rng), render(Scene(0, 0, 0, 3), rng)
    pixels = red.reshape(-1, 3).astype(int)
    assert ((pixels[:, 0] > 150) & (pixels[:, 1:].max(1) < 80)).mean() > 0.03
    assert night.mean() < red.mean() / 2
    scene = random_scene(rng)
    assert all(value in (-1, own) for value, own in zip(leave_open(scene, rng), scene, strict=True))
