"""The training loop: resumable, and the same as without a break."""

import numpy as np
import pytest
import torch
from group_inference.garden.scenes import SIZE, Scene, held_out, leave_open, random_scene, render
from group_inference.garden.training import habits
from group_inference.garden.training.data import draw_scenes
from group_inference.garden.training.loop import fit
from safetensors.torch import save_file


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


def test_what_a_caption_leaves_open_is_mostly_as_always_and_what_it_says_is_kept():
    rng, said = np.random.default_rng(0), Scene(-1, 3, -1, 2)
    answers = np.array([tuple(habits.by_habit(said, rng)) for _ in range(400)])
    assert (answers[:, [1, 3]] == (3, 2)).all()
    assert all(habits.HABIT < share < 0.95 for share in (answers[:, [0, 2]] == (0, 1)).mean(0))


def test_the_written_lora_is_what_was_trained(tmp_path):
    """It starts as nothing, and only it is trained."""
    torch.manual_seed(0)
    model = habits.flow.make_model()
    save_file(model.state_dict(), tmp_path / "flux.safetensors")
    x, sigma, hidden, pooled = torch.randn(2, 16, 8, 8), torch.tensor([0.9, 0.2]), torch.randn(2, 16, 128), torch.randn(2, 128)
    with torch.no_grad():
        before = habits.flow.velocity(model, x, sigma, hidden, pooled)
        added = habits.adapt(model)
        assert torch.equal(habits.flow.velocity(model, x, sigma, hidden, pooled), before)
        for low_rank in added.values():
            torch.nn.init.normal_(low_rank.up, std=0.1)
        after = habits.flow.velocity(model, x, sigma, hidden, pooled)
        habits.save(added, tmp_path)
        again = habits.flow.velocity(habits.load(tmp_path, torch.device("cpu")), x, sigma, hidden, pooled)
    assert not torch.allclose(after, before, atol=0.1) and torch.allclose(again, after, atol=1e-2)
    assert {name.split(".")[-2:][0] for name, p in model.named_parameters() if p.requires_grad} == {"low_rank"}
