"""A tiny Dinov2Model in the Hugging Face layout, with heads that name a picture's attributes.

Not trained by DINO's self-distillation (Oquab et al., arXiv 2304.07193), which needs far more data: patches learn by
masked image modelling (the architecture's own mask token), the class token by naming species, colour, count and
background. The heads stay beside the model as the classifier that measures the diffusion model.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

from ..scenes import ATTRIBUTES, SIZE
from .loop import fit

PATCH = 8
BATCH = 128
STEPS = 3000
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Classifier(nn.Module):
    """The backbone with one linear head per attribute on the class token, and one that paints masked patches."""

    def __init__(self, backbone=None):
        super().__init__()
        config = Dinov2Config(hidden_size=96, num_hidden_layers=3, num_attention_heads=3, mlp_ratio=2, image_size=SIZE, patch_size=PATCH)
        self.backbone = backbone or Dinov2Model(config)
        self.heads = nn.ModuleDict({name: nn.Linear(96, len(values)) for name, values in ATTRIBUTES.items()})
        self.paint = nn.Linear(96, 3 * PATCH * PATCH)

    def tokens(self, pictures, mask=None):
        mean, std = (torch.tensor(v, device=pictures.device).view(3, 1, 1) for v in (MEAN, STD))
        return self.backbone((pictures - mean) / std, bool_masked_pos=mask).last_hidden_state

    def forward(self, pictures, mask=None):
        tokens = self.tokens(pictures, mask)
        return {name: head(tokens[:, 0]) for name, head in self.heads.items()}, self.paint(tokens[:, 1:])


def train(scenes, folder, build, seed, device, steps=STEPS):
    torch.manual_seed(seed)
    model = Classifier().to(device)
    patches = (SIZE // PATCH) ** 2

    def loss_of_step(rng):
        rows = rng.integers(len(scenes), size=BATCH)
        pictures = scenes.batch(rows, device)
        # Generated pictures are a little blurred and noisy; the classifier must not care.
        noisy = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2, mode="bilinear") if rng.random() < 0.3 else pictures
        noisy = noisy + 0.05 * rng.random() * torch.randn_like(pictures)
        mask = torch.rand(BATCH, patches, device=device) < 0.3 * rng.random()
        with torch.autocast(device.type, torch.bfloat16):
            logits, painted = model(noisy, mask)
        truth = torch.from_numpy(scenes.attributes[rows]).to(device)
        named = sum(F.cross_entropy(logits[name].float(), truth[:, i]) for i, name in enumerate(ATTRIBUTES))
        target = F.unfold(pictures, PATCH, stride=PATCH).mT
        hidden = (painted.float() - target).square().mean(-1)[mask]
        return named + (hidden.mean() if len(hidden) else 0.0)

    fit("dinov2", model, loss_of_step, steps, build, seed, device, lr=1e-3, average=0.995)
    model.half().backbone.save_pretrained(folder)
    size = {"height": SIZE, "width": SIZE}
    BitImageProcessor(size=size, do_center_crop=False, do_convert_rgb=True, image_mean=MEAN, image_std=STD, resample=3).save_pretrained(
        folder
    )
    save_file({k: v.contiguous() for k, v in model.heads.state_dict().items()}, folder / "heads.safetensors")


def load(folder, device):
    model = Classifier(Dinov2Model.from_pretrained(folder, dtype=torch.float32))
    model.heads.load_state_dict({k: v.float() for k, v in load_file(folder / "heads.safetensors").items()})
    return model.to(device).eval()


@torch.no_grad()
def name_attributes(model, pictures):
    """Pictures [B, 3, 64, 64] in 0..1 -> int64 [B, 4], most likely index per attribute."""
    logits, _ = model(pictures)
    return torch.stack([logits[name].argmax(-1) for name in ATTRIBUTES], dim=1).cpu()
