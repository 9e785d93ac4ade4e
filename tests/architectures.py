"""A tiny model of every architecture in the README's table, of the host's own classes, and what its conditioning needs.

Those in LOADABLE are files that the host's UNETLoader detects by their tensors alone. The others are made through the model
class, since the host detects them by sizes of 100 MB and more: a U-Net of 320 channels (SDXL also by transformers of ten
blocks), Qwen-Image always 24 heads of 128, Z-Image by its 3840 numbers per token.
"""

import json

import comfy.supported_models as models
import node_helpers
import nodes
import tiny
import torch
from comfy.ldm.audio.embedders import NumberConditioner
from comfy.nested_tensor import NestedTensor
from tiny import WIDTH

UNET = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "num_res_blocks": [1, 1], "channel_mult": [1, 2],
    "transformer_depth": [1, 1], "transformer_depth_output": [1, 1, 1, 1], "transformer_depth_middle": 1, "use_spatial_transformer": True,
    "context_dim": WIDTH, "num_heads": 4, "num_head_channels": -1, "legacy": False, "use_linear_in_transformer": False, "adm_in_channels": None,
    "use_temporal_attention": False, "use_temporal_resblock": False,
}  # fmt: skip
FLUX = {
    "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2, "vec_in_dim": WIDTH, "context_in_dim": WIDTH, "hidden_size": 128,
    "mlp_ratio": 4.0, "num_heads": 1, "depth": 1, "depth_single_blocks": 1, "axes_dim": [16, 56, 56], "theta": 10000, "qkv_bias": True,
    "guidance_embed": True, "txt_ids_dims": [],
}  # fmt: skip
FLUX2 = {
    **FLUX, "image_model": "flux2", "in_channels": 128, "out_channels": 128, "patch_size": 1, "mlp_ratio": 3.0, "axes_dim": [32] * 4, "theta": 2000,
    "vec_in_dim": None, "global_modulation": True, "mlp_silu_act": True, "qkv_bias": False, "ops_bias": False, "txt_ids_dims": [3],
}  # fmt: skip
SD3 = {
    "in_channels": 16, "out_channels": 16, "input_size": None, "pos_embed_scaling_factor": None, "patch_size": 2, "depth": 1, "num_patches": 64,
    "pos_embed_max_size": 8, "adm_in_channels": WIDTH, "qk_norm": "rms", "context_size": WIDTH,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": WIDTH, "out_features": 64}},
}  # fmt: skip
QWEN = {
    "image_model": "qwen_image", "num_layers": 1, "attention_head_dim": 32, "num_attention_heads": 1, "joint_attention_dim": WIDTH,
    "axes_dims_rope": (8, 12, 12),
}  # fmt: skip
Z_IMAGE = {
    "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 256, "cap_feat_dim": WIDTH, "n_layers": 1, "n_refiner_layers": 1,
    "qk_norm": True, "n_heads": 8, "n_kv_heads": 8, "axes_dims": [8, 12, 12], "axes_lens": [64, 64, 64], "rope_theta": 256.0,
    "ffn_dim_multiplier": 1.0, "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 8,
}  # fmt: skip
WAN = {
    "image_model": "wan2.1", "model_type": "t2v", "in_dim": 16, "dim": 128, "ffn_dim": 128, "freq_dim": 256, "text_dim": 4096, "out_dim": 16,
    "num_heads": 1, "num_layers": 1,
}  # fmt: skip
LTX = {
    "image_model": "ltxv", "in_channels": 128, "cross_attention_dim": 256, "attention_head_dim": 8, "num_attention_heads": 32,
    "caption_channels": 4096, "num_layers": 1,
}  # fmt: skip
# With sound: the video is 64 wide, the sound 32, and both read the text through connectors of its width.
LTX_AV = {
    "image_model": "ltxav", "cross_attention_dim": 64, "attention_head_dim": 32, "num_attention_heads": 2, "audio_cross_attention_dim": 32,
    "audio_attention_head_dim": 16, "audio_num_attention_heads": 2, "caption_channels": WIDTH, "num_layers": 1, "connector_attention_head_dim": 16,
    "connector_num_attention_heads": 2, "connector_num_layers": 1,
}  # fmt: skip
ACE = {
    "audio_model": "ace", "num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 16, "text_embedding_dim": WIDTH,
    "lyric_encoder_vocab_size": 64, "ssl_encoder_depths": [1, 1], "ssl_latent_dims": [8, 8],
}  # fmt: skip
STABLE_AUDIO = {"audio_model": "dit1.0", "embed_dim": 64, "depth": 1, "num_heads": 1, "project_cond_tokens": True}
HUNYUAN_3D = {
    "image_model": "hunyuan3d2", "context_in_dim": WIDTH, "hidden_size": 64, "num_heads": 1, "depth": 1, "depth_single_blocks": 1,
}  # fmt: skip
# The host's class gives SDXL heads of 64 channels.
SDXL = {**UNET, "model_channels": 64, "use_linear_in_transformer": True, "num_classes": "sequential", "adm_in_channels": WIDTH + 6 * 256}
REFINER = {**SDXL, "adm_in_channels": WIDTH + 5 * 256}

UNCLIP = {**UNET, "model_channels": 64, "num_classes": "sequential", "adm_in_channels": 1536}


class StableAudio(models.StableAudio):
    """The host reads the embedders of times from the file."""

    def get_model(self, state_dict, prefix="", device=None):
        weights = NumberConditioner(768, min_val=0, max_val=512).state_dict()
        times = {f"conditioner.conditioners.seconds_{which}.{key}": w for which in ("start", "total") for key, w in weights.items()}
        return super().get_model(state_dict | times, prefix, device)


class ClipVisionOutput:
    image_embeds = torch.randn(1, 1, 768, generator=torch.Generator().manual_seed(6))


def picture(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(8))


# name: (class, its configuration, what nodes add to the conditioning)
ARCHITECTURES = {
    "SD 1.5": (models.SD15, UNET, {}),
    "SDXL": (models.SDXL, SDXL, {}),
    "SDXL refiner": (models.SDXLRefiner, REFINER, {}),
    "SD3": (models.SD3, SD3, {}),
    "FLUX.1 Schnell": (models.FluxSchnell, {**FLUX, "guidance_embed": False}, {}),
    "FLUX.1 Dev": (models.Flux, FLUX, {"guidance": 3.5}),
    "FLUX.2": (models.Flux2, FLUX2, {"guidance": 4.0}),
    "Qwen-Image": (models.QwenImage, QWEN, {}),
    "Z-Image": (models.ZImage, Z_IMAGE, {}),
    "FLUX.1 Depth": (models.Flux, {**FLUX, "in_channels": 32}, {"guidance": 10.0, "concat_latent_image": picture(1, 16, 8, 8)}),
    "FLUX.1 Fill": (models.FluxInpaint, {**FLUX, "in_channels": 96}, {"guidance": 30.0, "concat_latent_image": picture(1, 16, 8, 8), "concat_mask": torch.ones(1, 1, 64, 64)}),
    "FLUX.1 Kontext": (models.Flux, FLUX, {"guidance": 2.5, "reference_latents": [picture(1, 16, 8, 6)]}),
    "Qwen-Image-Edit": (models.QwenImage, QWEN, {"reference_latents": [picture(1, 16, 1, 8, 6)]}),
    "instruct-pix2pix": (models.SD15_instructpix2pix, {**UNET, "in_channels": 8}, {"concat_latent_image": picture(1, 4, 8, 8)}),
    "SD 1.5 inpainting": (models.SD15, {**UNET, "in_channels": 9}, {"concat_latent_image": picture(1, 4, 8, 8), "concat_mask": torch.ones(1, 1, 64, 64)}),
    "unCLIP": (models.SD21UnclipL, UNCLIP, {"unclip_conditioning": [{"clip_vision_output": ClipVisionOutput, "strength": 1.0, "noise_augmentation": 0.3}]}),
    "Wan text to video": (models.WAN21_T2V, WAN, {}),
    "Wan image to video": (models.WAN21_I2V, {**WAN, "model_type": "i2v", "in_dim": 36}, {"concat_latent_image": picture(1, 16, 3, 8, 8), "concat_mask": torch.ones(1, 1, 3, 8, 8)}),
    "LTX": (models.LTXV, LTX, {"attention_mask": torch.ones(1, tiny.TOKENS, dtype=torch.long)}),
    "LTX with sound": (models.LTXAV, LTX_AV, {"frame_rate": 12.0}),
    "ACE-Step": (models.ACEStep, ACE, {"conditioning_lyrics": torch.arange(5)[None]}),
    "Stable Audio": (StableAudio, STABLE_AUDIO, {"seconds_total": 4}),
    "Hunyuan3D": (models.Hunyuan3Dv2, HUNYUAN_3D, {}),
}  # fmt: skip


DETECTED = ("flux", "flux2", "wan2.1", "ltxv", "ltxav")
LOADABLE = ["SD3", *(name for name, (_, config, _) in ARCHITECTURES.items() if config.get("image_model") in DETECTED)]


def made(name, seed=0):
    """The model through its class; seed: of its weights."""
    kind, config, _ = ARCHITECTURES[name]
    return tiny.patcher(kind(dict(config)), seed)


def state_dict(name):
    """What a diffusion model's file holds: tensors by name, without a prefix. name: one of LOADABLE."""
    return {key: tensor.contiguous() for key, tensor in made(name).model.diffusion_model.state_dict().items()}


def metadata(name):
    """The file's text entries, or None: those of LTX-2 hold the sizes that its tensors do not tell."""
    config = ARCHITECTURES[name][1]
    return {"config": json.dumps({"transformer": config})} if config is LTX_AV else None


def loaded(name):
    """The model by the host's UNETLoader from such a file. name: one of LOADABLE."""
    with tiny.as_file("diffusion_models", state_dict(name), metadata(name)) as file:
        return nodes.UNETLoader().load_unet(file, "default")[0]


def build(name):
    return loaded(name) if name in LOADABLE else made(name)


def text(name, seed, rows=1):
    """CONDITIONING with what the architecture's nodes add to it."""
    _, config, added = ARCHITECTURES[name]
    width = 768 if config is STABLE_AUDIO else config.get("text_dim") or config.get("caption_channels") or WIDTH
    if config is LTX_AV and rows > 1:
        width *= 2  # as it leaves the connectors, which take one prompt at a time in ComfyUI 0.18.2
    return node_helpers.conditioning_set_values(tiny.text(seed, rows, width), added)


def latent(name, model, rows=1, fill=torch.zeros):
    """LATENT of 8 x 8 places, three frames of them in a video, with a second tensor [rows, 8, 4, 16] where there is sound; of sound or a
    shape alone of 24 places."""
    format_ = model.get_model_object("latent_format")
    shape = (16, 24) if ARCHITECTURES[name][1] is ACE else {1: (24,), 2: (8, 8), 3: (3, 8, 8)}[format_.latent_dimensions]
    samples = fill(rows, format_.latent_channels, *shape)
    return {"samples": NestedTensor([samples, fill(rows, 8, 4, 16)]) if ARCHITECTURES[name][1] is LTX_AV else samples}
