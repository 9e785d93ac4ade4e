"""A custom node pack for the fuzz: objects that no core node makes, and a node that looks at what comes out.

Objects have names "TYPE: what is odd", those that fit no socket "ANY: what it is".
"""

import hashlib
import json
import tempfile
from pathlib import Path

import backbones
import torch
from comfy.nested_tensor import NestedTensor

CHANNELS, TOKENS, WIDTH = 16, 16, 128  # of the garden
CLASSES = {}


def drawn(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def with_first(tensor, value):
    """The same with this value at its start."""
    tensor = tensor.clone()
    tensor.flatten()[0] = value
    return tensor


def latent(*shape, **more):
    return {"samples": drawn(*(shape or (4, CHANNELS, 8, 8))), **more}


def images(*shape):
    return drawn(*(shape or (6, 64, 64, 3)))


def prompt(*shape, **more):
    shape = shape or (1, TOKENS, WIDTH)
    return [drawn(*shape), {"pooled_output": drawn(shape[0], WIDTH), **more}]


def distances(count=6):
    points = drawn(count, 3)
    return torch.cdist(points, points).flatten().tolist()


def vision():
    with tempfile.TemporaryDirectory() as folder:
        return backbones.clip_vision(Path(folder))


class Noise:
    def __init__(self, make, seed=0):
        self.make, self.seed = make, seed

    def generate_noise(self, latent):
        return self.make(latent["samples"])


class Scorer:
    """answer(M) gives the scores."""

    name, needs_images = "odd", False

    def __init__(self, answer):
        self.answer = answer

    def score(self, pool):
        return self.answer(len(pool.x0 if pool.x0 is not None else pool.images))


def failing(*shape):
    raise RuntimeError("two\nlines")


def pairs(answer, count):
    """A scorer's answer about [M, M] pairs: symmetric, and 0 for equals, where it is numbers."""
    found = answer(count, count)
    return found if found is None else torch.maximum(found, found.T) * (1 - torch.eye(len(found)))


ANSWERS = {
    "NaN": lambda *shape: torch.full(shape, float("nan")),
    "infinite": lambda *shape: torch.full(shape, float("inf")),
    "1e308": lambda *shape: 1e308 * drawn(*shape).double(),
    "one NaN": lambda *shape: with_first(drawn(*shape), float("nan")),
    "integers": lambda *shape: torch.ones(shape, dtype=torch.int64),
    "negative": lambda *shape: -drawn(*shape),
    "too many": lambda *shape: drawn(*(n + 1 for n in shape)),
    "nothing": lambda *shape: None,
    "failing": failing,
}

OBJECTS = {
    "IMAGE": {
        "6 pictures": images,
        "no rows": lambda: images(0, 64, 64, 3),
        "grey": lambda: images(6, 64, 64, 1),
        "with alpha": lambda: images(6, 64, 64, 4),
        "2 channels": lambda: images(6, 64, 64, 2),
        "wide": lambda: images(6, 32, 96, 3),
        "1x1": lambda: images(6, 1, 1, 3),
        "no pixels": lambda: images(6, 0, 0, 3),
        "big": lambda: images(2, 1024, 768, 3),
        "one NaN": lambda: with_first(images(), float("nan")),
        "all NaN": lambda: images() * float("nan"),
        "infinite": lambda: images() / 0,
        "far out of range": lambda: 1e4 * (images() - 0.5),
        "bytes": lambda: (255 * images()).to(torch.uint8),
        "half": lambda: images().half(),
        "double": lambda: images().double(),
        "all alike": lambda: images(1, 64, 64, 3).expand(6, -1, -1, -1),
        "without a batch": lambda: images(64, 64, 3),
        "video": lambda: images(1, 6, 64, 64, 3),
    },
    "LATENT": {
        "4 rows": latent,
        "6 rows": lambda: latent(6, CHANNELS, 8, 8),
        "one row": lambda: latent(1, CHANNELS, 8, 8),
        "no rows": lambda: latent(0, CHANNELS, 8, 8),
        "wide": lambda: latent(1, CHANNELS, 4, 12),
        "1x1": lambda: latent(1, CHANNELS, 1, 1),
        "odd sides": lambda: latent(1, CHANNELS, 5, 7),
        "no pixels": lambda: latent(1, CHANNELS, 0, 0),
        "one NaN": lambda: {"samples": with_first(drawn(4, CHANNELS, 8, 8), float("nan"))},
        "all NaN": lambda: {"samples": torch.full((1, CHANNELS, 8, 8), float("nan"))},
        "1e30": lambda: {"samples": torch.full((1, CHANNELS, 8, 8), 1e30)},
        "integers": lambda: {"samples": torch.ones(1, CHANNELS, 8, 8, dtype=torch.int64)},
        "empty integers": lambda: {"samples": torch.zeros(1, CHANNELS, 8, 8, dtype=torch.int64)},
        "bfloat16": lambda: {"samples": drawn(4, CHANNELS, 8, 8).bfloat16()},
        "double": lambda: {"samples": drawn(4, CHANNELS, 8, 8).double()},
        "4 channels": lambda: latent(1, 4, 8, 8),
        "5 channels": lambda: latent(4, 5, 8, 8),
        "video": lambda: latent(1, CHANNELS, 3, 8, 8),
        "videos": lambda: latent(4, CHANNELS, 2, 8, 8),
        "3-D": lambda: latent(CHANNELS, 8, 8),
        "2-D": lambda: latent(1, CHANNELS),
        "nested": lambda: {"samples": NestedTensor([drawn(1, CHANNELS, 8, 8), drawn(1, CHANNELS, 4, 4)])},
        "nested rows": lambda: {"samples": NestedTensor([drawn(4, CHANNELS, 8, 8), drawn(4, CHANNELS, 4, 4)])},
        "all alike": lambda: {"samples": drawn(1, CHANNELS, 8, 8).expand(4, -1, -1, -1)},
        "a mask": lambda: latent(noise_mask=drawn(1, 1, 64, 64)),
        "4 masks": lambda: latent(noise_mask=drawn(4, 1, 64, 64)),
        "3 masks": lambda: latent(noise_mask=drawn(3, 1, 64, 64)),
        "9 masks": lambda: latent(noise_mask=drawn(9, 1, 64, 64)),
        "no masks": lambda: latent(noise_mask=drawn(0, 1, 64, 64)),
        "3-D mask": lambda: latent(noise_mask=drawn(4, 64, 64)),
        "2-D mask": lambda: latent(noise_mask=drawn(64, 64)),
        "NaN mask": lambda: latent(noise_mask=torch.full((1, 1, 64, 64), float("nan"))),
        "mask beyond 1": lambda: latent(noise_mask=9 * drawn(1, 1, 64, 64) - 4),
        "mask that is none": lambda: latent(noise_mask=None),
        "batch_index": lambda: latent(batch_index=[5, 3, 9, 0]),
        "short batch_index": lambda: latent(batch_index=[1]),
        "long batch_index": lambda: latent(batch_index=list(range(9))),
        "repeated batch_index": lambda: latent(batch_index=[2, 2, 2, 2]),
        "negative batch_index": lambda: latent(batch_index=[-1, -2, -3, -4]),
        "batch_index that is none": lambda: latent(batch_index=None),
        "empty": dict,
        "samples that are none": lambda: {"samples": None},
        "unknown keys": lambda: latent(type="odd", other=object()),
    },
    "CONDITIONING": {
        "one": lambda: [prompt()],
        "3 rows": lambda: [prompt(3, TOKENS, WIDTH)],
        "two entries": lambda: [prompt(), prompt()],
        "no entries": list,
        "no rows": lambda: [prompt(0, TOKENS, WIDTH)],
        "NaN": lambda: [[torch.full((1, TOKENS, WIDTH), float("nan")), {"pooled_output": drawn(1, WIDTH)}]],
        "without pooled": lambda: [[drawn(1, TOKENS, WIDTH), {}]],
        "another width": lambda: [prompt(1, TOKENS, 2 * WIDTH)],
        "one token": lambda: [prompt(1, 1, WIDTH)],
        "2-D": lambda: [[drawn(TOKENS, WIDTH), {}]],
        "of an area": lambda: [prompt(), prompt(area=(4, 4, 0, 4), strength=1.0)],
        "of an area outside": lambda: [prompt(), prompt(area=(400, 400, 90, 90), strength=1.0)],
        "masks per row": lambda: [prompt(mask=drawn(4, 64, 64), mask_strength=1.0, set_area_to_bounds=False)],
        "of no time": lambda: [prompt(start_percent=0.9, end_percent=0.1)],
        "entry without options": lambda: [[drawn(1, TOKENS, WIDTH)]],
    },
    "SIGMAS": {
        "three": lambda: torch.tensor([1.0, 0.5, 0.0]),
        "two": lambda: torch.tensor([1.0, 0.0]),
        "one": lambda: torch.tensor([1.0]),
        "none": lambda: torch.tensor([]),
        "rising": lambda: torch.tensor([0.0, 0.5, 1.0]),
        "equal": lambda: torch.tensor([0.5, 0.5, 0.5]),
        "zeros": lambda: torch.zeros(3),
        "not to the end": lambda: torch.tensor([1.0, 0.7]),
        "NaN": lambda: torch.tensor([1.0, float("nan"), 0.0]),
        "infinite": lambda: torch.tensor([float("inf"), 0.5, 0.0]),
        "negative": lambda: torch.tensor([1.0, -0.5, 0.0]),
        "integers": lambda: torch.tensor([1, 0]),
        "2-D": lambda: torch.tensor([[1.0, 0.5, 0.0]]),
        "double": lambda: torch.tensor([1.0, 0.5, 0.0]).double(),
    },
    "NOISE": {
        "zeros": lambda: Noise(torch.zeros_like),
        "NaN": lambda: Noise(lambda x: torch.full_like(x, float("nan"))),
        "of one row": lambda: Noise(lambda x: torch.randn_like(x[:1])),
        "of another shape": lambda: Noise(lambda x: torch.zeros(1, 3, 2, 2)),
        "double": lambda: Noise(lambda x: torch.zeros_like(x).double()),
        "seed that is none": lambda: Noise(torch.randn_like, None),
        "negative seed": lambda: Noise(torch.randn_like, -1),
    },
    "FLOAT": {
        "1e308": lambda: 1e308,
        "-1e308": lambda: -1e308,
        "NaN": lambda: float("nan"),
        "infinite": lambda: float("inf"),
        "-1": lambda: -1.0,
    },
    "NUMBERS": {
        "6 scores": lambda: drawn(6).tolist(),
        "6 seeds": lambda: [7, 0, 2**64 - 1, 12, 13, 14],
        "6 alike": lambda: [7] * 6,
        "6 scores of 1e308": lambda: (1e308 * drawn(6).double()).tolist(),
        "6 scores NaN": lambda: [float("nan")] * 6,
        "5 scores and infinity": lambda: [*drawn(5).tolist(), float("inf")],
        "a tensor": lambda: drawn(6),
        "36 distances": distances,
        "36 distances of 1e308": lambda: [1e308 * min(1.0, d) for d in distances()],
        "36 distances of 1e-320": lambda: [1e-320 * d for d in distances()],
        "36 zeros": lambda: [0.0] * 36,
        "36 NaN": lambda: [float("nan")] * 36,
        "asymmetric": lambda: drawn(36).tolist(),
        "negative": lambda: [-d for d in distances()],
        "a matrix": lambda: torch.tensor(distances()).view(6, 6),
        "an empty list": list,
        "a text": lambda: "one",
        "a list of texts": lambda: ["one"] * 6,
        "complex": lambda: torch.ones(6, dtype=torch.complex64),
    },
    "INT": {"-1": lambda: -1, "0": lambda: 0, "a half": lambda: 0.5, "true": lambda: True},
    "GROUP_UNARY": {name: lambda answer=answer: Scorer(lambda m: answer(m)) for name, answer in ANSWERS.items()},
    "GROUP_PAIRWISE": {name: lambda answer=answer: Scorer(lambda m: pairs(answer, m)) for name, answer in ANSWERS.items()},
    "CLIP": {"that writes": lambda: backbones.Talker(lambda mean: f"{10 * mean:.3f}")},
    "CLIP_VISION": {"tiny": vision},
    "ANY": {
        "none": lambda: None,
        "a text": lambda: "a text",
        "a number": lambda: 3,
        "a list": lambda: [1, 2],
        "an empty dictionary": dict,
        "a tensor": lambda: drawn(4, 4),
        "an object": object,
    },
}


def node(of):
    CLASSES[of.__name__] = of
    return of


@node
class FuzzObject:
    CATEGORY, FUNCTION, RETURN_TYPES = "fuzz", "make", ("*",)

    @classmethod
    def INPUT_TYPES(cls):
        names = [f"{kind}: {name}" for kind, objects in OBJECTS.items() for name in objects]
        return {"required": {"name": (names,), "number": ("INT", {"max": 2**63})}}

    def make(self, name, number):
        kind, name = name.split(": ", 1)
        return (OBJECTS[kind][name](),)


@node
class FuzzSeen:
    """Shows of anything: type, rows, whether its numbers are finite and their hash; of a text the text."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "fuzz", "see", (), True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*",)}}

    def see(self, value):
        seen = {"type": type(value).__name__}
        if isinstance(value, str):
            seen["text"] = value
        value = value.get("samples") if isinstance(value, dict) else value
        parts = value.unbind() if getattr(value, "is_nested", False) else [value]
        if all(isinstance(part, torch.Tensor) for part in parts):
            parts = [part.detach().cpu().contiguous() for part in parts]
            seen |= {"rows": parts[0].shape[0], "finite": all(bool(torch.isfinite(part).all()) for part in parts)}
            seen["hash"] = hashlib.sha256(b"".join(part.float().numpy().tobytes() for part in parts)).hexdigest()
        return {"ui": {"text": [json.dumps(seen)]}}


NODE_CLASS_MAPPINGS = CLASSES
