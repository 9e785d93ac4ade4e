"""Tiny scorer models in a folder as models/group_scorers."""

import json

import backbones
import pytest
from group_inference.scorers import weights


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """With a CLIP of another width beside the one that the aesthetic predictor needs."""
    root = tmp_path_factory.mktemp("group_scorers")
    backbones.folders(root)
    backbones.clip_folder(root / "tiny-clip")
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
