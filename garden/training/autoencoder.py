"""A TAESD-type autoencoder (github.com/madebyollin/taesd) for 16-channel Flux latents.

Same layers and key names as the host's comfy.taesd, so the stock VAE class loads the file; the host's own layers leave
fresh weights uninitialised and need its start-up, so training has plain ones. Two terms beside the
reconstruction shape the latent: unit scale in the model's space, and the host's latent-to-RGB preview of a Flux latent
shall show the picture, so that the ordinary live preview works in the garden too.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from ..scenes import SIZE
from .loop import fit

CHANNELS = 16
CROP = 32
BATCH = 16
STEPS = 9000


def conv(n_in, n_out, **kwargs):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **kwargs)


class Clamp(nn.Module):
    def forward(self, x):
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(conv(64, 64), nn.ReLU(), conv(64, 64), nn.ReLU(), conv(64, 64))

    def forward(self, x):
        return F.relu(self.conv(x) + x)


def stage(n):
    return [Block() for _ in range(n)]


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        down = lambda: conv(64, 64, stride=2, bias=False)
        up = lambda: [nn.Upsample(scale_factor=2), conv(64, 64, bias=False)]
        self.taesd_encoder = nn.Sequential(
            conv(3, 64), *stage(1), down(), *stage(3), down(), *stage(3), down(), *stage(3), conv(64, CHANNELS)
        )
        self.taesd_decoder = nn.Sequential(
            Clamp(), conv(CHANNELS, 64), nn.ReLU(), *stage(3), *up(), *stage(3), *up(), *stage(3), *up(), *stage(1), conv(64, 3)
        )

    def encode(self, pictures):
        """Pictures [B, 3, H, W] in 0..1 to model-space latents [B, 16, H/8, W/8]."""
        return self.taesd_encoder(pictures)

    def decode(self, latents):
        return self.taesd_decoder(latents)


def loss_of(model, pictures, rgb, bias):
    latents = model.encode(pictures).float()
    # The diffusion model's answers are never exact: the decoder learns to forgive a little.
    out = model.decode(latents + 0.05 * torch.randn_like(latents)).float()
    edges = sum((out.diff(dim=d) - pictures.diff(dim=d)).abs().mean() for d in (-1, -2))
    preview = torch.einsum("bchw,cr->brhw", latents, rgb) + bias
    small = F.avg_pool2d(pictures, 8) * 2 - 1
    reconstruction = (out - pictures).abs().mean() + 4 * F.mse_loss(out, pictures) + 0.5 * edges
    return (
        reconstruction
        + 0.05 * F.mse_loss(preview, small)
        + 0.002 * (latents.square().mean() - 1).square()
        + 0.0005 * latents.square().mean()
    )


def train(scenes, path, build, seed, device, steps=STEPS):
    from comfy.latent_formats import Flux

    flux = Flux()
    torch.manual_seed(seed)
    model = Autoencoder().to(device, memory_format=torch.channels_last)
    rgb = torch.tensor(flux.latent_rgb_factors, device=device)
    bias = torch.tensor(flux.latent_rgb_factors_bias, device=device).view(1, 3, 1, 1)

    def loss_of_step(rng):
        pictures = scenes.batch(rng.integers(len(scenes), size=BATCH), device)
        # Convolutions need no whole pictures; crops along the latent grid cost a quarter.
        x, y = (8 * int(v) for v in rng.integers(0, (SIZE - CROP) // 8 + 1, size=2))
        crops = pictures[:, :, y : y + CROP, x : x + CROP].contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            return loss_of(model, crops, rgb, bias)

    fit("autoencoder", model, loss_of_step, steps, build, seed, device, lr=1e-3, average=0.995)
    weights = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    save_file({**weights, "vae_scale": torch.tensor(flux.scale_factor), "vae_shift": torch.tensor(flux.shift_factor)}, path)


def load(path, device):
    weights = load_file(path)
    model = Autoencoder()
    model.load_state_dict({k: v.float() for k, v in weights.items() if not k.startswith("vae_")})
    return model.to(device, memory_format=torch.channels_last).eval()
