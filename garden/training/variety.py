"""How varied a model's plain answers are: the first K seeds of captions that leave something open, as anybody would sample them."""

import numpy as np
import torch
import torch.nn.functional as F

from devtools.statistics import interval, vendi

from ..scenes import OPEN, caption, open_scenes
from . import dinov2, flow

PROMPTS = 100
K = 4
GUIDANCE = 3.0


@torch.no_grad()
def patch_distances(classifier, pictures):
    """1 - mean over places of the cosine of patches, as the pack's dinov2 scorer has it: [B, B]."""
    patches = F.normalize(classifier.tokens(pictures)[:, 1:], dim=-1)
    return 1 - torch.einsum("ipc, jpc -> ij", patches, patches).div(patches.shape[1]).cpu().numpy()


@torch.no_grad()
def variety(model, texts, vae, classifier, device, seed=54321):
    """{measure: [mean over prompts, and its 95 % interval]} of K pictures to each prompt, at 20 Euler steps."""
    asked = open_scenes(PROMPTS, seed)
    latents = flow.sample(model, texts, [caption(scene) for scene in asked for _ in range(K)], GUIDANCE, seed, device)
    pictures = vae.decode(latents).clamp(0, 1)
    named = dinov2.name_attributes(classifier, pictures).numpy()
    found = {"vendi": [], "distance": [], "distinct": [], "right": []}
    for i, scene in enumerate(map(np.array, map(tuple, asked))):
        rows = slice(K * i, K * i + K)
        distances, is_open = patch_distances(classifier, pictures[rows]), scene == OPEN
        found["vendi"].append(vendi(distances))
        found["distance"].append(distances[np.triu_indices(K, 1)].mean())
        found["distinct"].append(len(set(map(tuple, named[rows][:, is_open].tolist()))) / K)
        found["right"].append((named[rows] == scene)[:, ~is_open].all(1).mean())
    return {name: [round(figure, 3) for figure in interval(values)] for name, values in found.items()}
