"""How good the garden is, on scenes that it never saw: the figures of the model card."""

import json

import numpy as np
import torch
from tqdm import tqdm
from transformers import CLIPModel, CLIPTokenizer

from ..scenes import ATTRIBUTES, caption, held_out, random_scene
from . import autoencoder, clip, dinov2, flow, habits
from .variety import variety

PROMPTS = 200
GUIDANCE = (1.0, 2.0, 3.0, 4.0, 5.0)


@torch.no_grad()
def clip_retrieval(scenes, folder, device, pool=50):
    """Share of pictures whose own full caption scores highest among `pool` different captions."""
    tokenizer, model = CLIPTokenizer.from_pretrained(folder), CLIPModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()
    rng, hits, tried = np.random.default_rng(0), 0, 0
    for _ in range(20):
        texts = {}
        for i in rng.permutation(len(scenes)):
            texts.setdefault(caption(scenes.scene(i)), i)
            if len(texts) == pool:
                break
        rows = list(texts.values())
        out = model(input_ids=clip.tokens_of(tokenizer, list(texts)).to(device), pixel_values=clip.normalise(scenes.batch(rows, device)))
        hits += int((out.logits_per_image.argmax(1).cpu() == torch.arange(pool)).sum())
        tried += pool
    return hits / tried


@torch.no_grad()
def reconstruction(scenes, model, device):
    """Peak signal-to-noise ratio in dB of whole held-out pictures, decoded and clamped."""
    errors = []
    for start in range(0, len(scenes), 100):
        pictures = scenes.batch(slice(start, start + 100), device)
        errors.append((model.decode(model.encode(pictures)).clamp(0, 1) - pictures).square().mean((1, 2, 3)))
    return float(-10 * torch.cat(errors).log10().mean())


def classifier_accuracy(scenes, model, device):
    named = torch.cat([dinov2.name_attributes(model, scenes.batch(slice(i, i + 100), device)) for i in range(0, len(scenes), 100)])
    hits = named.numpy() == scenes.attributes
    return {name: float(hits[:, i].mean()) for i, name in enumerate(ATTRIBUTES)}


def adherence(weights, classifier, device, seed=12345):
    """By guidance: share of PROMPTS pictures at 20 Euler steps that show what their caption asks for.

    The captions name all four attributes, in combinations that the diffusion model was trained without.
    """
    model, vae = flow.load(weights / "flux.safetensors", device), autoencoder.load(weights / "taesd.safetensors", device)
    texts = flow.TextTable(weights / "garden-clip", device)
    rng = np.random.default_rng(seed)
    asked = []
    while len(asked) < PROMPTS:
        scene = random_scene(rng)
        if held_out(scene):
            asked.append(scene)
    wanted = np.array([tuple(s) for s in asked])
    table = {}
    for guidance in tqdm(GUIDANCE, desc="sampling"):
        latents = flow.sample(model, texts, [caption(s) for s in asked], guidance, seed, device)
        with torch.no_grad():
            pictures = vae.decode(latents).clamp(0, 1)
        right = dinov2.name_attributes(classifier, pictures).numpy() == wanted
        table[guidance] = {"species_and_colour": float(right[:, :2].all(1).mean()), "all_that_is_asked": float(right.all(1).mean())}
    return table


def variety_of_both(weights, classifier, device):
    texts, vae = flow.TextTable(weights / "garden-clip", device), autoencoder.load(weights / "taesd.safetensors", device)
    models = {"without_habits": flow.load(weights / "flux.safetensors", device), "with_habits": habits.load(weights, device)}
    return {name: variety(model, texts, vae, classifier, device) for name, model in models.items()}


def report(scenes, weights, build, device):
    classifier = dinov2.load(weights / "garden-dinov2", device)
    figures = {
        "clip_retrieval_1_of_50": clip_retrieval(scenes, weights / "garden-clip", device),
        "autoencoder_psnr_db": reconstruction(scenes, autoencoder.load(weights / "taesd.safetensors", device), device),
        "classifier_accuracy": classifier_accuracy(scenes, classifier, device),
        "adherence_by_guidance": adherence(weights, classifier, device),
        "plain_answers": variety_of_both(weights, classifier, device),
        "megabytes": round(sum(p.stat().st_size for p in weights.rglob("*") if p.is_file()) / 1e6, 2),
    }
    text = json.dumps(figures, indent=2)
    (build / "figures.json").write_text(text)
    print(text)
