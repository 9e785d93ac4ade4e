"""Group Prompts without a text encoder's weights, and what stock runs are compared with."""

import zlib

import architectures
import nodes
import tiny
import torch
from contract import TOLERANCE
from group_inference.nodes.group_prompts import GroupPrompts

SEED, CANDIDATES, SIZE = 7, 6, 5
LINES = ["a fox", "a snowy owl in a tall tree", "red tulips"]


class Words:
    """A CLIP whose prompts are random numbers of their own: two tokens for each word and the options that an architecture needs."""

    def __init__(self, name="SD 1.5"):
        ((tensor, self.options),) = architectures.text(name, 1)
        self.width = tensor.shape[-1]

    def length(self, text):
        return 2 * len(text.split())

    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, text):
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        numbers = lambda *shape: torch.randn(*shape, generator=generator)
        options = {**self.options, "pooled_output": numbers(1, tiny.WIDTH)}
        if "attention_mask" in options:
            options["attention_mask"] = torch.ones(1, self.length(text), dtype=torch.long)
        return [[numbers(1, self.length(text), self.width), options]]


class Chunks(Words):
    """The same with long texts twice as long as all others."""

    def length(self, text):
        return tiny.TOKENS * (1 + (len(text.split()) > 4))


def stock_prompt(clip, line):
    return nodes.CLIPTextEncode().encode(clip, line)[0]


def grouped(clip, lines, more=None):
    return GroupPrompts.execute(clip, "\n".join(lines), more).args[0]


def line_of(lines, seed):
    return lines[(seed - SEED) % len(lines)]


def assert_each_is_its_lines(model, latent, conditioned, *of_lines, **settings):
    """conditioned: of makers of a prompt for each of `of_lines` (a text encoder and its lines) the positive and the negative one."""
    whole, settings = conditioned(*[grouped(clip, lines) for clip, lines in of_lines]), {"steps": 3, **settings}
    got, report = tiny.group(model, SEED, latent, CANDIDATES, SIZE, *whole, ratio=0.1, **settings)
    assert len(set(report["seeds"])) == SIZE

    def alone(seed, as_of):
        prompts = conditioned(*[stock_prompt(clip, line_of(lines, as_of)) for clip, lines in of_lines])
        return tiny.stock(model, seed, latent, *prompts, **settings)

    for i, seed in enumerate(report["seeds"]):
        one = got["samples"][i : i + 1]
        assert tiny.relative_error(one, alone(seed, seed)) < TOLERANCE
    assert tiny.relative_error(one, alone(seed, seed + 1)) > TOLERANCE  # the next candidate's line
    return report
