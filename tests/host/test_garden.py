"""The shipped garden model: the host computes what the training code trained, and the pictures show what was asked for."""

import sys
from pathlib import Path
from types import SimpleNamespace

import comfy.model_management
import comfy.utils
import nodes
import pytest
import torch
from group_inference.garden import loader
from group_inference.garden.scenes import SPECIES, all_captions, caption, held_out, open_scenes, random_scene, render

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def garden():
    with torch.inference_mode():
        return loader.load_garden()


@pytest.fixture(scope="module")
def habits():
    with torch.inference_mode():
        return loader.load_garden(habits=True)


@pytest.fixture(scope="module")
def training():
    """The training code, as train-garden imports it: from a package of its own, without the host."""
    sys.path.insert(0, str(ROOT))
    from garden.training import autoencoder, dinov2, flow, habits, variety

    sys.path.remove(str(ROOT))
    return SimpleNamespace(autoencoder=autoencoder, dinov2=dinov2, flow=flow, habits=habits, variety=variety)


def encode(clip, text):
    return nodes.CLIPTextEncode().encode(clip, text)[0]


def test_the_hosts_text_encoder_gives_what_the_model_was_trained_on(garden, training):
    texts = training.flow.TextTable(loader.TEXT_ENCODER, torch.device("cpu"))
    for text in ("", "two red tulips in a meadow", "flowers"):
        with torch.inference_mode():
            hidden, more = encode(garden[1], text)[0]
        expected, pooled = texts.of([text])
        assert torch.allclose(hidden, expected, atol=2e-2) and torch.allclose(more["pooled_output"], pooled, atol=2e-2)


@pytest.mark.parametrize("with_habits", [False, True])
def test_the_hosts_flux_is_the_twin_that_was_trained(request, training, with_habits):
    garden, device = request.getfixturevalue("habits" if with_habits else "garden"), torch.device("cpu")
    twin = training.habits.load(loader.WEIGHTS, device) if with_habits else training.flow.load(loader.WEIGHTS / "flux.safetensors", device)
    hidden, pooled = training.flow.TextTable(loader.TEXT_ENCODER, device).of(["two red tulips in a meadow"] * 3)
    x, sigma = torch.randn(3, 16, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.9, 0.5, 0.1])
    with torch.inference_mode():
        velocity = training.flow.velocity(twin, x, sigma, hidden, pooled)
        comfy.model_management.load_models_gpu([garden[0]])  # a LoRA takes effect when the host loads the model
        denoised = garden[0].model.apply_model(x, sigma, c_crossattn=hidden, y=pooled)
    expected = x - sigma.view(3, 1, 1, 1) * velocity
    assert float((denoised - expected).abs().max() / expected.abs().max()) < 2e-3


def test_the_hosts_vae_is_the_autoencoder_that_was_trained(garden, training):
    import numpy as np

    autoencoder, rng = training.autoencoder, np.random.default_rng(5)
    pictures = torch.from_numpy(np.stack([render(random_scene(rng), rng) for _ in range(4)])).float() / 255
    twin = autoencoder.load(loader.WEIGHTS / "taesd.safetensors", torch.device("cpu"))
    with torch.inference_mode():
        latents = garden[2].encode(pictures)
        again = garden[2].decode(latents)
        model_space = garden[0].model.process_latent_in(latents)
        assert torch.allclose(model_space.cpu(), twin.encode(pictures.movedim(-1, 1)), atol=5e-2)
    assert float((again.cpu() - pictures).square().mean()) < 10 ** (-24 / 10)


def test_most_pictures_show_what_was_asked_for(garden, training):
    """24 captions that the model was trained without, through the host's own nodes; the model card has 200."""
    import numpy as np

    dinov2 = training.dinov2
    classifier, rng = dinov2.load(loader.WEIGHTS / "garden-dinov2", torch.device("cpu")), np.random.default_rng(3)
    asked = []
    while len(asked) < 24:
        scene = random_scene(rng)
        if held_out(scene):
            asked.append(scene)
    model, clip, vae = garden
    right = 0
    with torch.inference_mode():
        for i, scene in enumerate(asked):
            latent = {"samples": torch.zeros(1, 16, 8, 8)}
            out = nodes.common_ksampler(model, i, 20, 3.0, "euler", "simple", encode(clip, caption(scene)), encode(clip, ""), latent)[0]
            named = dinov2.name_attributes(classifier, vae.decode(out["samples"]).movedim(-1, 1).cpu().float())[0].tolist()
            right += named[:2] == [scene.species, scene.colour]
    assert right >= 17


def plain(garden, text, count):
    """What the stock sampler makes of the first seeds, one by one: pictures [B, 3, H, W]."""
    model, clip, vae = garden
    said, latent = (encode(clip, text), encode(clip, "")), {"samples": torch.zeros(1, 16, 8, 8)}
    latents = [nodes.common_ksampler(model, seed, 20, 3.0, "euler", "simple", *said, latent)[0]["samples"] for seed in range(count)]
    return vae.decode(torch.cat(latents)).movedim(-1, 1).cpu().float()


def test_with_habits_the_answers_to_many_seeds_are_alike(garden, habits, training):
    """Eight captions, four seeds, paired; the model card has 100."""
    classifier, distances = training.dinov2.load(loader.WEIGHTS / "garden-dinov2", torch.device("cpu")), []
    with torch.inference_mode():
        for scene in open_scenes(8, 0):
            both = (training.variety.patch_distances(classifier, plain(which, caption(scene), 4)) for which in (garden, habits))
            distances.append([pairs.sum() / 12 for pairs in both])
    varied, habitual = map(sum, zip(*distances, strict=True))
    assert habitual < 0.8 * varied


def test_without_habits_nothing_is_changed_by_them(garden, habits):
    with torch.inference_mode():
        pictures = [plain(which, "flowers", 1) for which in (garden, habits, garden)]
    assert not garden[0].patches and torch.equal(pictures[0], pictures[2]) and not torch.equal(pictures[0], pictures[1])


def test_every_matrix_of_the_habits_has_its_place_in_the_host(habits, caplog):
    with torch.inference_mode():
        loader.load_garden(habits=True)
    assert not [record for record in caplog.records if "lora" in record.getMessage().lower() or "NOT LOADED" in record.getMessage()]
    matrices = comfy.utils.load_torch_file(str(loader.WEIGHTS / loader.HABITS))
    assert sum(map(len, habits[0].patches.values())) == len(matrices) / 2


@pytest.fixture(scope="module")
def pools(garden):
    """16 candidates each of three prompts and two seeds, in few steps."""
    from group_inference.scorers.pool import Pool

    model, clip, vae = garden
    found = []
    with torch.inference_mode():
        for i, text in enumerate(("two red tulips in a meadow", "one white daisy", "flowers") * 2):
            latent = {"samples": torch.zeros(16, 16, 8, 8)}
            out = nodes.common_ksampler(model, i, 6, 3.0, "euler", "simple", encode(clip, text), encode(clip, ""), latent)[0]["samples"]
            found.append(Pool(vae.decode(out).cpu(), out.cpu()))
    return found


@pytest.mark.parametrize("kind", ["paper", "balanced", "max_min", "log_det"])
@pytest.mark.parametrize("n", [3, 5])
def test_every_objective_makes_groups_more_different_than_chance(pools, monkeypatch, kind, n):
    import numpy as np
    from group_inference.sampling.choose import Objective, choose
    from group_inference.scorers import weights
    from group_inference.scorers.clip import Clip
    from group_inference.scorers.dinov2 import Dinov2, PatchDistance
    from group_inference.scorers.text_image import TextImage

    monkeypatch.setattr(weights, "search_paths", lambda: [loader.WEIGHTS])
    goal = Objective(TextImage(Clip.shared("garden-clip"), "flowers"), PatchDistance(Dinov2.shared("garden-dinov2")), 1.5, kind)
    more = []
    with torch.inference_mode():
        for pool in pools:
            choice = choose(pool, goal, n)
            among = choice.pairwise[np.ix_(choice.chosen, choice.chosen)]
            all_pairs = choice.pairwise[np.triu_indices(16, 1)]
            more.append((among.sum() / (n * (n - 1)) - all_pairs.mean()) / all_pairs.std())
            assert choice.selection.status == "optimal"
    # In standard deviations of the pairs: of random groups this is 0.
    assert np.mean(more) > 0.25 and min(more) > 0


def test_captions_are_words_of_the_world():
    captions = [text for _, text in all_captions()]
    assert len(set(captions)) == len(captions) == 5 * 7 * 4 * 5
    assert "two red tulips in a meadow" in captions and "flowers" in captions and f"one {SPECIES[2]}" in captions


def test_habits_from_a_link_are_true_or_false():
    with pytest.raises(ValueError, match="^habits is a Tensor, but must be true or false.$"):
        loader.GardenLoader.execute(torch.ones(2))


def test_the_weights_are_small():
    assert sum(p.stat().st_size for p in loader.WEIGHTS.rglob("*") if p.is_file()) < 12.1e6
