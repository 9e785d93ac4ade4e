"""The diffusion model: Flux's architecture, trained by rectified flow on autoencoder latents.

Liu et al., arXiv 2209.03003 (rectified flow); Esser et al., arXiv 2403.03206 (logit-normal times); Ho and Salimans,
arXiv 2207.12598 (empty captions for classifier-free guidance). The host's Flux blocks write in place and cannot be
trained, so diffusers' twin is; the host's loader reads its layout.
"""

from itertools import pairwise

import torch
from diffusers import FluxTransformer2DModel
from safetensors.torch import load_file, save_file
from tqdm import tqdm
from transformers import CLIPModel, CLIPTokenizer

from ..scenes import all_captions, caption, held_out, leave_open
from . import autoencoder, clip
from .loop import fit

HIDDEN = 128
BATCH = 128
STEPS = 12000
NO_CAPTION = 0.1


def make_model():
    return FluxTransformer2DModel(
        patch_size=1, in_channels=4 * autoencoder.CHANNELS, num_layers=2, num_single_layers=4, attention_head_dim=HIDDEN,
        num_attention_heads=1, joint_attention_dim=128, pooled_projection_dim=128, guidance_embeds=False, axes_dims_rope=(16, 56, 56),
    )  # fmt: skip


class TextTable:
    """Features of every caption there is, from the CLIP text tower: hidden states [N, T, 128] and pooled [N, 128]."""

    @torch.no_grad()
    def __init__(self, folder, device):
        tokenizer, model = CLIPTokenizer.from_pretrained(folder), CLIPModel.from_pretrained(folder, dtype=torch.float32)
        texts = [""] + [text for _, text in all_captions()]
        out = model.text_model(input_ids=clip.tokens_of(tokenizer, texts))
        self.hidden, self.pooled = out.last_hidden_state.to(device), out.pooler_output.to(device)
        self.row = {text: i for i, text in enumerate(texts)}

    def of(self, texts):
        rows = [self.row[t] for t in texts]
        return self.hidden[rows], self.pooled[rows]


def pack(latents):
    """[B, C, H, W] -> [B, H/2 * W/2, 4 C], 2x2 patches in Flux's order."""
    b, c, h, w = latents.shape
    return latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w // 4, c * 4)


def unpack(tokens, side):
    b, _, c = tokens.shape
    return tokens.view(b, side // 2, side // 2, c // 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, c // 4, side, side)


def positions(side, device):
    ids = torch.zeros(side // 2, side // 2, 3, device=device)
    ids[..., 1] = torch.arange(side // 2, device=device)[:, None]
    ids[..., 2] = torch.arange(side // 2, device=device)[None]
    return ids.view(-1, 3)


def velocity(model, x, sigma, hidden, pooled):
    """dx/dsigma at x [B, C, H, W], sigma [B] in 0..1."""
    ids = positions(x.shape[-1], x.device)
    out = model(
        hidden_states=pack(x), timestep=sigma, encoder_hidden_states=hidden, pooled_projections=pooled,
        img_ids=ids, txt_ids=torch.zeros(hidden.shape[1], 3, device=x.device), return_dict=False,
    )[0]  # fmt: skip
    return unpack(out.float(), x.shape[-1])


@torch.no_grad()
def encode_all(scenes, model, device):
    parts = []
    for start in tqdm(range(0, len(scenes), 100), desc="encoding"):
        pictures = scenes.batch(slice(start, start + 100), device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            parts.append(model.encode(pictures).float().cpu())
    return torch.cat(parts).contiguous()


def loss(model, texts, said, clean):
    """Of latents [B, C, H, W] and what is said of each, at random times."""
    hidden, pooled = texts.of(said)
    noise = torch.randn_like(clean)
    sigma = torch.sigmoid(torch.randn(len(clean), device=clean.device))
    s = sigma.view(-1, 1, 1, 1)
    with torch.autocast(clean.device.type, torch.bfloat16):
        out = velocity(model, (1 - s) * clean + s * noise, sigma, hidden, pooled)
    return (out - (noise - clean)).square().mean()


def train(scenes, clip_folder, autoencoder_path, path, build, seed, device, steps=STEPS):
    torch.manual_seed(seed)
    model = make_model().to(device)
    # adaLN-zero (Peebles and Xie, arXiv 2212.09748): every block starts as the identity.
    for name, parameter in model.named_parameters():
        if ".linear." in name and "norm" in name or name.startswith(("norm_out.linear", "proj_out")):
            torch.nn.init.zeros_(parameter)
    texts = TextTable(clip_folder, device)
    scenes = scenes.where(lambda scene: not held_out(scene))
    latents = encode_all(scenes, autoencoder.load(autoencoder_path, device), device)

    def loss_of_step(rng):
        rows = rng.integers(len(scenes), size=BATCH)
        said = [caption(leave_open(scenes.scene(i), rng, 0.2)) if rng.random() > NO_CAPTION else "" for i in rows]
        return loss(model, texts, said, latents[rows].to(device))

    fit("flow", model, loss_of_step, steps, build, seed, device, lr=1e-3, average=0.9995)
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, path)


def load(path, device):
    model = make_model()
    model.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return model.to(device).eval()


@torch.no_grad()
def sample(model, texts, prompts, guidance, seed, device, steps=20, side=8):
    """Euler from noise, one latent per prompt, plain classifier-free guidance: [B, 16, side, side]."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(prompts), autoencoder.CHANNELS, side, side, generator=generator).to(device)
    with_caption, without = texts.of(prompts), texts.of([""] * len(prompts))
    sigmas = torch.linspace(1, 0, steps + 1).tolist()
    for sigma, following in pairwise(sigmas):
        s = torch.full((len(prompts),), sigma, device=device)
        empty = velocity(model, x, s, *without)
        x = x + (following - sigma) * (empty + guidance * (velocity(model, x, s, *with_caption) - empty))
    return x
