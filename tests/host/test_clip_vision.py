"""The host's CLIP_VISION as a backbone, made of the host's own classes at tiny sizes."""

import json

import comfy.clip_vision
import pytest
import torch
from group_inference.nodes.scorers import PairwiseScorer, UnaryScorer
from group_inference.scorers.pool import Pool

TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_channels": 3}


def loaded(tmp_path, model_type):
    config = {
        **TOWER,
        "image_size": 32,
        "patch_size": 8,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "projection_dim": 16,
        "model_type": model_type,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    vision = comfy.clip_vision.ClipVisionModel(str(tmp_path / "config.json"))
    vision.load_sd({name: 0.1 * torch.randn_like(value) for name, value in vision.get_sd().items()})
    return vision


def test_distances_and_likeness_by_a_clip_that_the_host_loaded(tmp_path):
    vision, images = loaded(tmp_path, "clip_vision_model"), torch.rand(19, 40, 28, 3)
    distances = PairwiseScorer.execute({"scorer": "clip_vision", "clip_vision": vision}).args[0].score(Pool(images))
    rows = torch.nn.functional.normalize(vision.encode_image(images)["image_embeds"].double().cpu(), dim=1)
    assert torch.allclose(distances.double(), 1 - rows @ rows.T, atol=1e-4)
    like = {"scorer": "reference", "image": images[4:5], "by": {"by": "clip_vision", "clip_vision": vision}}
    assert int(UnaryScorer.execute(like).args[0].score(Pool(images)).argmax()) == 4


def test_a_siglip_that_the_host_loaded_without_its_pooling_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ComfyUI leaves out its pooling: connect a CLIP vision model"):
        PairwiseScorer.execute({"scorer": "clip_vision", "clip_vision": loaded(tmp_path, "siglip_vision_model")})
