"""Weights that cannot be used: one sentence that names the folder and the way out, and never a score from noise."""

import json
import shutil
import sys

import pytest
from group_inference.scorers import weights
from group_inference.scorers.aesthetic import Aesthetic
from group_inference.scorers.clip import Clip, Siglip
from group_inference.scorers.dinov2 import Dinov2, Dinov3
from group_inference.scorers.lpips import Lpips
from group_inference.scorers.open_clip import OpenClip
from group_inference.scorers.text_image import TextImage
from safetensors.torch import load_file, save_file


@pytest.fixture
def folder(models, tmp_path, monkeypatch):
    """Copies a tiny model to a folder of its own, where a test may break it."""
    monkeypatch.setattr(weights, "search_paths", lambda: [tmp_path])
    return lambda name: shutil.copytree(models / name, tmp_path / name)


def refused(load, *parts):
    with pytest.raises((ValueError, FileNotFoundError, ImportError)) as error:
        load()
    text = str(error.value)
    assert all(part in text for part in parts) and "\n" not in text and text.count(". ") <= 1, text


def drop(path, *names):
    tensors = load_file(path)
    assert all(name in tensors for name in names)
    save_file({name: value for name, value in tensors.items() if name not in names}, path, metadata={"format": "pt"})


@pytest.mark.parametrize(("kind", "name"), [(Clip, "tiny-dinov2"), (Dinov2, "tiny-clip"), (Siglip, "tiny-clip"), (Dinov3, "tiny-dinov2")])
def test_another_architecture_in_the_folder(folder, kind, name):
    refused(lambda: kind.shared(folder(name).name), name, "but this scorer needs", "choose another folder")


def test_a_text_for_a_model_without_a_text_tower(folder):
    path = folder("tiny-clip") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "clip_vision_model"}))
    refused(lambda: TextImage(Clip.shared("tiny-clip"), "a rose"), "of the type clip_vision_model, but this scorer needs clip")


@pytest.mark.parametrize(("kind", "name"), [(Clip, "tiny-clip"), (Dinov2, "tiny-dinov2"), (OpenClip, "tiny-hps"), (Lpips, "lpips-alex")])
def test_a_file_that_is_cut_short(folder, kind, name):
    (path,) = folder(name).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    refused(kind if kind is Lpips else lambda: kind.shared(name), str(path), "broken or cut short", "download it again")


def test_a_missing_text_projection_never_scores(folder):
    path = folder("tiny-clip") / "model.safetensors"
    drop(path, "text_projection.weight")
    refused(lambda: Clip.shared("tiny-clip"), str(path), "lacks text_projection.weight")


def test_missing_parts_of_own_layouts(folder):
    drop(folder("tiny-hps") / "open_clip_model.safetensors", "text_projection")
    refused(lambda: OpenClip.shared("tiny-hps"), "tiny-hps", "another architecture", "text_projection")
    drop(folder("lpips-alex") / "model.safetensors", "lin2.model.1.weight")
    refused(Lpips, "lpips-alex", "another architecture", "lin2.model.1.weight")
    folder("wide-clip")
    drop(folder("aesthetic-v2") / "model.safetensors", "layers.2.weight")
    refused(lambda: Aesthetic(Clip.shared("wide-clip")), "aesthetic-v2", "does not hold the aesthetic predictor")


def test_weights_that_are_not_what_the_config_says(folder):
    path = folder("tiny-clip") / "config.json"
    config = json.loads(path.read_text())
    config["vision_config"]["hidden_size"] = 64
    path.write_text(json.dumps(config))
    refused(lambda: Clip.shared("tiny-clip"), "tiny-clip", "download both again")


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
def test_a_pickle_is_not_read(folder, pickle):
    target = folder("tiny-clip")
    (target / "model.safetensors").rename(target / pickle)
    refused(lambda: Clip.shared("tiny-clip"), pickle, "is not read", "safetensors")


def test_a_tokenizer_without_its_vocabulary(folder):
    target = folder("tiny-clip")
    tokenizer = json.loads((target / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = dict(list(tokenizer["model"]["vocab"].items())[:3])
    tokenizer["added_tokens"] = []
    (target / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused(lambda: Clip.shared("tiny-clip"), "tiny-clip", "vocabulary of", "tokenizer.json")


def test_a_tokenizer_of_another_model_makes_all_texts_look_the_same(folder):
    target = folder("tiny-clip")
    config = json.loads((target / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 10**6  # never met, so the first token is taken for every text
    (target / "config.json").write_text(json.dumps(config))
    refused(lambda: TextImage(Clip.shared("tiny-clip"), "a rose").backbone.text_features("a rose"), "tiny-clip", "all texts look the same")


def test_without_open_clip_the_package_is_named(folder, monkeypatch):
    folder("tiny-hps")
    monkeypatch.setitem(sys.modules, "open_clip", None)
    refused(lambda: OpenClip.shared("tiny-hps"), "hpsv2 scorer needs the package open_clip_torch", "pip install open_clip_torch")


def test_what_cannot_be_downloaded_says_what_to_put_there(folder):
    refused(
        lambda: OpenClip.shared("hps-v2.1"),
        "hps-v2.1",
        "open_clip_model.safetensors",
        "docs/scorers.md",
        "color, structure, latent and cfg_agreement need no weights",
    )
    refused(Lpips, "lpips-alex", "AlexNet", "lin*.model.1.weight")
