"""A TAESD-type autoencoder (github.com/madebyollin/taesd) for 16-channel Flux latents.

Same layers and key names as the host's comfy.taesd, so the stock VAE class loads the file. Two terms beside the
reconstruction shape the latent: unit scale in the model's space, and the host's latent-to-RGB preview of a Flux latent
shall show the picture, so that the ordinary live preview works in the garden too.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

from ..scenes import SIZE
from .loop import fit

CHANNELS = 16
CROP = 32
BATCH = 16
STEPS = 9000
# comfy.latent_formats.Flux: model space = (latent - SHIFT) * SCALE, RGB in -1..1 = model space @ RGB + BIAS
SCALE, SHIFT = 0.3611, 0.1159
RGB = (
    (-0.0346, 0.0244, 0.0681), (0.0034, 0.0210, 0.0687), (0.0275, -0.0668, -0.0433), (-0.0174, 0.0160, 0.0617),
    (0.0859, 0.0721, 0.0329), (0.0004, 0.0383, 0.0115), (0.0405, 0.0861, 0.0915), (-0.0236, -0.0185, -0.0259),
    (-0.0245, 0.0250, 0.1180), (0.1008, 0.0755, -0.0421), (-0.0515, 0.0201, 0.0011), (0.0428, -0.0012, -0.0036),
    (0.0817, 0.0765, 0.0749), (-0.1264, -0.0522, -0.1103), (-0.0280, -0.0881, -0.0499), (-0.1262, -0.0982, -0.0778),
)  # fmt: skip
BIAS = (-0.0329, -0.0718, -0.0851)


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
    torch.manual_seed(seed)
    model = Autoencoder().to(device, memory_format=torch.channels_last)
    rgb = torch.tensor(RGB, device=device)
    bias = torch.tensor(BIAS, device=device).view(1, 3, 1, 1)

    def loss_of_step(rng):
        pictures = scenes.batch(rng.integers(len(scenes), size=BATCH), device)
        # Convolutions need no whole pictures; crops along the latent grid cost a quarter.
        x, y = (8 * int(v) for v in rng.integers(0, (SIZE - CROP) // 8 + 1, size=2))
        crops = pictures[:, :, y : y + CROP, x : x + CROP].contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            return loss_of(model, crops, rgb, bias)

    fit("autoencoder", model, loss_of_step, steps, build, seed, device, lr=1e-3, average=0.995)
    weights = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    save_file({**weights, "vae_scale": torch.tensor(SCALE), "vae_shift": torch.tensor(SHIFT)}, path)


def load(path, device):
    from safetensors.torch import load_file

    weights = load_file(path)
    model = Autoencoder()
    model.load_state_dict({k: v.float() for k, v in weights.items() if not k.startswith("vae_")})
    return model.to(device, memory_format=torch.channels_last).eval()
