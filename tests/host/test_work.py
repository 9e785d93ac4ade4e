"""The counted price of a look, against counted operations of the host's own networks at their real sizes, without their weights."""

import comfy.ldm.flux.math
import comfy.ldm.modules.attention
import comfy.ldm.modules.diffusionmodules.model
import comfy.ops
import pytest
import torch
from comfy.ldm.flux.model import Flux
from comfy.ldm.modules.diffusionmodules.model import Decoder
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.taesd.taesd import TAESD
from group_inference.sampling import work
from group_inference.sampling.preview import Previewer
from group_inference.sampling.variants import MARK, Variant
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

SDXL = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [2, 2, 2], "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10], "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10], "transformer_depth_middle": 10,
    "use_linear_in_transformer": True, "context_dim": 2048, "adm_in_channels": 2816, "num_classes": "sequential", "num_head_channels": 64,
    "use_spatial_transformer": True, "use_temporal_attention": False, "legacy": False,
}  # fmt: skip
FLUX = {
    "in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": 4096, "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24,
    "depth": 19, "depth_single_blocks": 38, "axes_dim": [16, 56, 56], "theta": 10000, "patch_size": 2, "qkv_bias": True,
    "guidance_embed": True, "txt_ids_dims": [],
}  # fmt: skip
DECODER = {
    "ch": 128,
    "out_ch": 3,
    "ch_mult": (1, 2, 4, 4),
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "in_channels": 3,
    "resolution": 256,
}


@pytest.fixture(autouse=True)
def countable(monkeypatch):
    """Attention that works without data, as the counter needs it."""
    for module in (comfy.ldm.modules.attention, comfy.ldm.flux.math):
        monkeypatch.setattr(module, "optimized_attention", comfy.ldm.modules.attention.attention_pytorch)
    plain = comfy.ldm.modules.diffusionmodules.model.pytorch_attention
    monkeypatch.setattr(comfy.ldm.modules.diffusionmodules.model, "vae_attention", lambda: plain)


def meta(*shape):
    return torch.empty(*shape, device="meta")


def counted(call):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops()


class Guider:
    def __init__(self, net, cfg):
        self.inner_model = type("Model", (), {"diffusion_model": net})
        self.cfg, self.conds = cfg, {"positive": [{}], "negative": [{}]}


def sdxl():
    net = UNetModel(**SDXL, device="meta", dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    call = lambda: net(meta(1, 4, 128, 128), meta(1), context=meta(1, 77, 2048), y=meta(1, 2816))
    return Guider(net, 7.0), 2 * counted(call), 4


def flux(cfg=1.0):
    net = Flux(**FLUX, device="meta", dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    call = lambda: net(meta(1, 16, 128, 128), meta(1), meta(1, 256, 4096), meta(1, 768), meta(1))
    return Guider(net, cfg), counted(call), 16


def vae(channels, scale=8):
    """A VAE as far as a previewer knows it."""
    with torch.device("meta"):
        decoder = Decoder(**DECODER, z_channels=channels)
    stage = torch.nn.Module()
    stage.decoder, stage.encoder = decoder, torch.nn.Linear(4096, 4096, device="meta")  # an encoder costs nothing here
    return type("Vae", (), {"first_stage_model": stage, "spacial_compression_decode": lambda self: scale, "decode": None})()


def eyes():
    """(what both scorers of the paper cost for one picture, backbones as the price knows them)."""
    with torch.device("meta"):
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig())
        dino = Dinov2Model(Dinov2Config())
    patched = lambda net, size: type("Backbone", (), {"size": (size, size), "patcher": type("Patcher", (), {"model": net})})()
    cost = counted(lambda: clip(meta(1, 3, 224, 224))) + counted(lambda: dino(meta(1, 3, 224, 224)))
    return cost, [patched(clip, 224), patched(dino, 224)]


@pytest.mark.parametrize("model", [sdxl, flux])
def test_looks_are_a_small_part_of_a_run_and_their_price_is_about_right(model):
    guider, row, channels = model()
    previewer = Previewer.__new__(Previewer)
    previewer.vae, shape = vae(channels), (1, channels, 128, 128)
    seeing, scorers = eyes()
    looking = counted(lambda: previewer.vae.first_stage_model.decoder(meta(1, channels, 128, 128))) + seeing
    price = work.look_price(guider, shape, previewer, scorers)
    assert 0.4 < price / (looking / row) < 2.5
    # With the 24 looks of such a plan previews and scores take at most 15% of what the model does; the paper's 120 take a half of it on SDXL.
    assert 24 * looking < 0.15 * 192 * row


def test_a_row_is_counted_for_each_conditioning_that_is_evaluated():
    once, guided = flux(1.0)[0], flux(3.5)[0]
    assert work.row_work(guided, (1, 16, 128, 128)) == 2 * work.row_work(once, (1, 16, 128, 128))
    guided.conds["positive"] = [{MARK: Variant(i, 5, "")} for i in range(5)]  # a candidate has one of them
    assert work.row_work(guided, (1, 16, 128, 128)) == 2 * work.row_work(once, (1, 16, 128, 128))
    guided.conds["positive"].append({})
    assert work.row_work(guided, (1, 16, 128, 128)) == 3 * work.row_work(once, (1, 16, 128, 128))
    assert work.row_work(once, (1, 16, 64, 64)) * 4 == work.row_work(once, (1, 16, 128, 128))


def test_the_small_decoder_is_cheaper_than_the_vae():
    with torch.device("meta"):
        small = type("Vae", (), {"first_stage_model": TAESD(latent_channels=4)})
    assert 10 * work.decode_work(small, 512, 512) < work.decode_work(vae(4), 512, 512)
