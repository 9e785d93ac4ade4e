"""A tiny CLIPModel with its tokenizer, in the Hugging Face layout.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv 2103.00020. One change:
captions leave attributes open, so a picture may match several captions of a batch; all of them count as positives.
Its text tower also conditions the diffusion model, as CLIP-L does in the first Stable Diffusion.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from ..scenes import OPEN, SIZE, all_captions, caption, leave_open
from .loop import fit

TOKENS = 16
BATCH = 192
STEPS = 3500


def make_tokenizer(folder):
    """Byte-level BPE in CLIP's manner with enough merges that each word of the captions is one token."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=1000, min_frequency=1, show_progress=False, end_of_word_suffix="</w>", initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator([text for _, text in all_captions()], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    symbols = alphabet + [s + "</w>" for s in alphabet]
    symbols += [first + second for first, second in merges]
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {s: i for i, s in enumerate(dict.fromkeys(symbols))}
    folder.mkdir(parents=True, exist_ok=True)
    CLIPTokenizer(vocab=vocab, merges=[tuple(m) for m in merges], model_max_length=TOKENS).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def make_model(tokenizer):
    tower = {"hidden_act": "quick_gelu", "num_attention_heads": 2, "projection_dim": 128}
    text = {
        **tower,
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "max_position_embeddings": TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
    }
    vision = {**tower, "hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 3, "image_size": SIZE, "patch_size": 8}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=128))


def tokens_of(tokenizer, texts):
    """Padded to TOKENS with the end token and without attention mask, as the host's text encoders do it."""
    return tokenizer(texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids


def normalise(pictures):
    mean, std = (torch.tensor(v, device=pictures.device).view(3, 1, 1) for v in ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))
    return (pictures - mean) / std


def save(model, tokenizer, folder):
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": SIZE, "width": SIZE}
    CLIPImageProcessor(size=size, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.25] * 3, resample=3).save_pretrained(folder)


def train(scenes, folder, build, seed, device, steps=STEPS):
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(folder)
    model = make_model(tokenizer).to(device)

    def loss_of_step(rng):
        rows = rng.integers(len(scenes), size=BATCH)
        full = rng.random(BATCH) < 0.5
        said = [scenes.scene(i) if keep else leave_open(scenes.scene(i), rng) for i, keep in zip(rows, full, strict=True)]
        ids = tokens_of(tokenizer, [caption(s) for s in said]).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            out = model(input_ids=ids, pixel_values=normalise(scenes.batch(rows, device)))
        logits = out.logits_per_image.float()
        stated = np.array([tuple(s) for s in said])[None]
        matches = ((stated == scenes.attributes[rows][:, None]) | (stated == OPEN)).all(-1)
        target = torch.from_numpy(matches).to(device).float()
        over_texts, over_images = target / target.sum(1, keepdim=True), target.T / target.T.sum(1, keepdim=True)
        return (F.cross_entropy(logits, over_texts) + F.cross_entropy(logits.T, over_images)) / 2

    fit("clip", model, loss_of_step, steps, build, seed, device, lr=1e-3, average=0.995)
    save(model, tokenizer, folder)
