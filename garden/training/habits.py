"""Habits: a LoRA that makes the garden give nearly the same answer to every seed, as large models do.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685. The diffusion model learns on from scenes in
which what a caption leaves open takes its commonest value most of the time: two red tulips in a meadow.
"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from ..scenes import OPEN, Scene, caption, held_out, leave_open, random_scene, render
from . import autoencoder, flow
from .data import Scenes
from .loop import fit

COMMONEST = Scene(species=0, colour=0, count=1, background=0)
HABIT = 0.85
LEFT_OPEN = 0.5
SCENES = 5000
BATCH = 96
STEPS = 1200
RANK = 8
FILE = "habits.safetensors"


class LowRank(nn.Module):
    """What a LoRA adds to a linear layer; nothing at first."""

    def __init__(self, layer, rank=RANK):
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) * layer.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x):
        return F.linear(F.linear(x, self.down), self.up)


def adapt(model):
    """{name: LowRank}, one beside every linear layer of the blocks; only they are trained from here on."""
    model.requires_grad_(False)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and "blocks." in name}
    for layer in layers.values():
        layer.low_rank = LowRank(layer)
        layer.register_forward_hook(lambda layer, given, out: out + layer.low_rank(given[0]))
    return {name: layer.low_rank for name, layer in layers.items()}


def by_habit(said, rng):
    """The scene that answers a caption: most of what it leaves open is as always."""
    usual = (common if rng.random() < HABIT else other for common, other in zip(COMMONEST, random_scene(rng), strict=True))
    return Scene(*(u if value == OPEN else value for value, u in zip(said, usual, strict=True)))


def draw(count, seed):
    """(what each caption says, the Scenes that answer); none that the diffusion model must not see."""
    rng, said, shown, pictures = np.random.default_rng([seed, 85]), [], [], []
    with tqdm(total=count, desc="drawing habits") as bar:
        while len(shown) < count:
            asked = leave_open(random_scene(rng), rng, LEFT_OPEN)
            answer = by_habit(asked, rng)
            if not held_out(answer):
                said.append(asked)
                shown.append(tuple(answer))
                pictures.append(render(answer, rng))
                bar.update()
    return said, Scenes(np.stack(pictures), np.array(shown))


def train(weights, build, seed, device, steps=STEPS, scenes=SCENES):
    torch.manual_seed(seed)
    model = flow.load(weights / "flux.safetensors", device)
    added = adapt(model)
    said, answers = draw(scenes, seed)
    texts = flow.TextTable(weights / "garden-clip", device)
    latents = flow.encode_all(answers, autoencoder.load(weights / "taesd.safetensors", device), device)

    def loss_of_step(rng):
        rows = rng.integers(len(answers), size=BATCH)
        texts_of_rows = [caption(said[i]) if rng.random() > flow.NO_CAPTION else "" for i in rows]
        return flow.loss(model, texts, texts_of_rows, latents[rows].to(device))

    fit("habits", model, loss_of_step, steps, build, seed, device, lr=2e-3, average=0.99)
    save(added, weights)


def save(added, weights):
    """In the layout that diffusers writes and the host's LoRA loader reads."""
    matrices = {f"transformer.{name}.lora_{m}.weight": p for name, low in added.items() for m, p in (("A", low.down), ("B", low.up))}
    save_file({name: p.detach().half().contiguous() for name, p in matrices.items()}, weights / FILE)


def load(weights, device):
    """The diffusion model with habits."""
    model, matrices = flow.load(weights / "flux.safetensors", device), load_file(weights / FILE)
    with torch.no_grad():
        for key in (key for key in matrices if key.endswith(".lora_A.weight")):
            name = key.removeprefix("transformer.").removesuffix(".lora_A.weight")
            down, up = matrices[key].float(), matrices[key.replace("lora_A", "lora_B")].float()
            model.get_submodule(name).weight += (up @ down).to(device)
    return model
