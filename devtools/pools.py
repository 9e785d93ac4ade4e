"""What policies are replayed on: for a prompt, M seeds denoised to the end by the host's sampler, with every score at every step.

Kept as build/bench/NAME/PROMPT.npz, made once: `latents` float16 [T, M, 16, 8, 8] in the model's space, predicted final ones after
each step; `u NAME` float32 [T, M] and `b NAME` float32 [T, M, M] of the scorers below; `pictures` uint8 [M, 64, 64, 3] and `named`
int8 [M, 4], what the finished ones show; `sigmas` and `progress` [T], of the next step.
"""

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from functools import cache, partial

import comfy.sample
import comfy.samplers
import nodes
import numpy as np
import torch
import torch.nn.functional as F
from group_inference.garden import loader
from group_inference.garden.scenes import ATTRIBUTES, OPEN, caption, open_scenes
from group_inference.garden.training import dinov2 as classifier
from group_inference.sampling.plan import noise_gone
from group_inference.sampling.preview import Previewer
from group_inference.sampling.work import look_price
from group_inference.scorers import weights
from group_inference.scorers.clip import Clip
from group_inference.scorers.dinov2 import Dinov2, PatchDistance
from group_inference.scorers.pool import Pool
from group_inference.scorers.text_image import TextImage

from .host import ROOT
from .rivals import pink

FOLDER = ROOT / "build" / "bench"
GARDENS = {"varied": loader.load_garden, "habits": partial(loader.load_garden, habits=True)}
SIDE, CHANNELS = 8, 16
# Change it when arrays of the same name would hold something else.
VERSION = 1


@dataclass(frozen=True)
class Setting:
    """How pictures are made. guidance 1 is none."""

    garden: str = "varied"
    guidance: float = 3.0
    steps: int = 20
    sampler: str = "euler"
    scheduler: str = "simple"

    @property
    def name(self):
        return f"{self.garden}_guidance{self.guidance:g}_{self.steps}steps"


def prompts(count):
    """`count` different scenes whose captions leave one to three attributes open, the same ones first for every count."""
    return open_scenes(count, 2508)


@dataclass
class World:
    """A garden in the host, the scorers that have weights for it, and the classifier that no selection asks."""

    setting: Setting
    model: object = field(init=False)

    def __post_init__(self):
        weights.search_paths = lambda: [loader.WEIGHTS]
        self.model, self.clip, self.vae = GARDENS[self.setting.garden]()
        self.classifier = classifier.load(loader.WEIGHTS / "garden-dinov2", torch.device("cpu"))
        self.previewer = Previewer(self.model, self.vae)
        self.clip_scorer, self.pairwise = Clip.shared("garden-clip"), {"dinov2": PatchDistance(Dinov2.shared("garden-dinov2"))}
        sampling, setting = self.model.get_model_object("model_sampling"), self.setting
        self.sigmas = comfy.samplers.calculate_sigmas(sampling, setting.scheduler, setting.steps)
        self.progress = noise_gone(self.sigmas, sampling)

    def unary(self, text):
        """{name: scorer} for a prompt."""
        return {"clip": TextImage(self.clip_scorer, text)}

    @property
    def price(self):
        """Of a look by the paper's scorers, in model rows, as a run counts it."""
        guider = comfy.samplers.CFGGuider(self.model)
        guider.inner_model, guider.conds = self.model.model, {"positive": [{}], "negative": [{}]}
        guider.set_cfg(self.setting.guidance)
        scorers = [*self.unary("").values(), *self.pairwise.values()]
        return look_price(guider, (1, CHANNELS, SIDE, SIDE), self.previewer, scorers)

    def encoded(self, text):
        return nodes.CLIPTextEncode().encode(self.clip, text)[0]

    def denoise(self, text, seeds, model=None, guidance=None, steps=None, exponent=0.0):
        """Predicted final latents after each step [T, M, 16, 8, 8], float32; seeds: of M candidates, each as a KSampler alone draws
        it. model: a patched one; guidance, steps: other ones than the setting's; exponent: of pink noise, 0 for the host's own."""
        blank, found = torch.zeros(1, CHANNELS, SIDE, SIDE), []
        noise = torch.cat([comfy.sample.prepare_noise(blank, seed) for seed in seeds])
        noise = pink(noise, exponent) if exponent else noise
        setting = replace(self.setting, guidance=guidance or self.setting.guidance, steps=steps or self.setting.steps)
        comfy.sample.sample(
            model or self.model, noise, setting.steps, setting.guidance, setting.sampler, setting.scheduler, self.encoded(text),
            self.encoded(""), torch.zeros_like(noise), callback=lambda step, x0, x, total: found.append(x0.cpu().clone()),
            disable_pbar=True, seed=seeds[0],
        )  # fmt: skip
        return torch.stack(found)

    def scores(self, text, latents):
        """({"u NAME": [M], "b NAME": [M, M]}, pictures [M, 64, 64, 3] in 0..1) of latents [M, ...] in the model's space."""
        pool = Pool(self.previewer(latents), latents)
        found = {f"u {name}": scorer.score(pool) for name, scorer in self.unary(text).items()}
        found |= {f"b {name}": scorer.score(pool) for name, scorer in self.pairwise.items()}
        return {name: values.float().numpy() for name, values in found.items()}, pool.images

    def arrays(self, scene, seeds, looks=None, tick=lambda step: None, **how):
        """All that a replay needs, see above. looks: the steps, from 1, after which pictures are decoded and scored beside the last
        one, None for all; elsewhere scores are NaN. tick(step) is called after each. how: as for denoise."""
        text, latents = caption(scene), self.denoise(caption(scene), seeds, **how)
        final, pictures = self.scores(text, latents[-1])
        scores = {name: np.full((len(latents), *values.shape), np.nan, np.float32) for name, values in final.items()}
        for step, x0 in enumerate(latents, 1):
            last = step == len(latents)
            if last or looks is None or step in looks:
                for name, values in (final if last else self.scores(text, x0)[0]).items():
                    scores[name][step - 1] = values
                tick(step)
        more = {"sigmas": self.sigmas[:-1].numpy(), "progress": np.array(self.progress)}
        return scores | more | {"latents": latents.half().numpy()} | self.seen(pictures)

    def finished(self, scene, seeds, **how):
        """The same of the finished pictures alone: one step."""
        latents = self.denoise(caption(scene), seeds, **how)[-1]
        found, pictures = self.scores(caption(scene), latents)
        return {name: values[None] for name, values in found.items()} | {"latents": latents[None].half().numpy()} | self.seen(pictures)

    def seen(self, pictures):
        named = classifier.name_attributes(self.classifier, pictures.movedim(-1, 1))
        return {"pictures": (pictures * 255).round().byte().numpy(), "named": named.numpy().astype(np.int8)}


def kept(setting, scene, name, make):
    """make() -> arrays, from disk where they are there already. name: what arrays they are."""
    digest = hashlib.sha256(repr((VERSION, weights_digest(), setting, name)).encode()).hexdigest()[:8]
    words = lambda text: "_".join(re.findall(r"[\w.]+", text))
    path = FOLDER / f"{setting.name}_{words(name)}_{digest}" / f"{words(caption(scene))}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part.npz")
        np.savez(part, **make())
        part.replace(path)
    with np.load(path) as saved:
        return dict(saved)


@cache
def weights_digest():
    """Of all weights of the gardens: another training is another pool."""
    files = sorted(path for path in loader.WEIGHTS.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def answers(arrays, scene):
    """(right bool [M]: shows all that the prompt asks for; open int [M, A]: what it shows of the A attributes that the prompt leaves
    open), as the classifier names them. Its backbone is also that of the scorer dinov2, whose patches it does not use."""
    asked = np.array(list(scene))
    said = asked != OPEN
    assert len(asked) == len(ATTRIBUTES)
    return (arrays["named"][:, said] == asked[said]).all(1), arrays["named"][:, ~said]


def pixel_distance(pictures):
    """[M, M] in 0..1: root mean square difference of pictures uint8 [M, H, W, 3] averaged to 8 x 8. No scorer of the pack is like it."""
    small = F.adaptive_avg_pool2d(torch.from_numpy(pictures).movedim(-1, 1).double() / 255, 8).flatten(1)
    return (torch.cdist(small, small, compute_mode="donot_use_mm_for_euclid_dist") / small.shape[1] ** 0.5).numpy()
