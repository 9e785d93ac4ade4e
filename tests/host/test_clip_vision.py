"""The host's CLIP_VISION as a backbone, made of the host's own classes at tiny sizes."""

import pytest
import torch
from backbones import clip_vision
from group_inference.nodes.scorers import PairwiseScorer, UnaryScorer
from group_inference.scorers.pool import Pool


def test_distances_and_likeness_by_a_clip_that_the_host_loaded(tmp_path):
    vision, images = clip_vision(tmp_path), torch.rand(19, 40, 28, 3)
    distances = PairwiseScorer.execute({"scorer": "clip_vision", "clip_vision": vision}).args[0].score(Pool(images))
    rows = torch.nn.functional.normalize(vision.encode_image(images)["image_embeds"].double().cpu(), dim=1)
    assert torch.allclose(distances.double(), 1 - rows @ rows.T, atol=1e-4)
    like = {"scorer": "reference", "image": images[4:5], "by": {"by": "clip_vision", "clip_vision": vision}}
    assert int(UnaryScorer.execute(like).args[0].score(Pool(images)).argmax()) == 4


def test_a_siglip_that_the_host_loaded_without_its_pooling_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ComfyUI leaves out its pooling: connect a CLIP vision model"):
        PairwiseScorer.execute({"scorer": "clip_vision", "clip_vision": clip_vision(tmp_path, "siglip_vision_model")})
