"""Tiny scorer models in the Hugging Face layout, built here: nothing is downloaded."""

import json
import string

import pytest
import torch
from group_inference.scorers import weights


def clip_folder(folder):
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    symbols = list(string.ascii_lowercase + string.digits + " .,")
    vocab = {s: i for i, s in enumerate([*symbols, *(s + "</w>" for s in symbols), "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[], model_max_length=20)
    tower = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "projection_dim": 16}
    ends = {"bos_token_id": vocab["<|startoftext|>"], "eos_token_id": vocab["<|endoftext|>"], "pad_token_id": vocab["<|endoftext|>"]}
    text = {**tower, **ends, "vocab_size": len(vocab), "max_position_embeddings": 20}
    CLIPModel(CLIPConfig(text_config=text, vision_config={**tower, "image_size": 32, "patch_size": 8}, projection_dim=16)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)


def dinov2_folder(folder):
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    Dinov2Model(Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14)).save_pretrained(
        folder
    )
    BitImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56}).save_pretrained(folder)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder as models/group_scorers, with one CLIP ("tiny-clip") and one DINOv2 ("tiny-dinov2")."""
    root = tmp_path_factory.mktemp("group_scorers")
    torch.manual_seed(0)
    clip_folder(root / "tiny-clip")
    dinov2_folder(root / "tiny-dinov2")
    return root


@pytest.fixture
def installed(models, monkeypatch):
    monkeypatch.setattr(weights, "search_paths", lambda: [models])
    return models


@pytest.fixture
def old_layout(models, tmp_path, monkeypatch):
    """The same models with the preprocessor's settings where transformers 5 may put them."""
    for name in ("tiny-clip", "tiny-dinov2"):
        target = tmp_path / name
        target.mkdir()
        for file in (models / name).iterdir():
            (target / file.name).write_bytes(file.read_bytes())
        settings = json.loads((target / "preprocessor_config.json").read_text())
        (target / "preprocessor_config.json").unlink()
        (target / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    monkeypatch.setattr(weights, "search_paths", lambda: [tmp_path])
    return tmp_path
