"""Scores from text and image in one space: agreement, quality by opposite prompts, difference along named axes."""

import torch
import torch.nn.functional as F

from .pool import RowDistance, squared_distance
from .reliability import WHOLE, WORDS

QUALITY_PROMPTS = ("Good photo.", "Bad photo.")
# What an axis without poles of its own is varied by: opposites that go with most nouns.
QUALIFIERS = [
    "bright",
    "dark",
    "warm",
    "cold",
    "soft",
    "hard",
    "old",
    "young",
    "simple",
    "complex",
    "natural",
    "artificial",
    "calm",
    "wild",
]


class TextImage:
    """u_i = cos(image embedding, text embedding), in -1..1: the paper's unary term, with CLIP. Normalised in float32.

    text: what pictures are compared with; empty: the pool's, which is the prompt's, or each picture's own. scaled: times the model's
    learned scale, as PickScore is defined (Kirstain et al., arXiv 2305.01569); means something among pictures for one prompt only.
    """

    needs_images = True
    reliability = WORDS

    def __init__(self, backbone, text, scaled=False):
        self.name, self.backbone, self.text, self.scaled = backbone.model_type, backbone, text.strip(), scaled
        self._text_features = {}

    def score(self, pool):
        texts = [self.text] if self.text else pool.texts or [pool.text]
        if not all(texts):
            why = "one of the prompts is empty" if pool.texts else "no prompt was found in the graph"
            raise ValueError(f"it compares images with a text, and {why}: fill in its text input.")
        known, different = self._text_features, list(dict.fromkeys(texts))
        self._text_features = {text: known[text] if text in known else self.backbone.text_features(text) for text in different}
        cosines = F.normalize(pool.features(self.backbone), dim=1) @ torch.cat(list(self._text_features.values())).T
        cosines = cosines[list(range(len(cosines))), [different.index(text) for text in texts]]
        return cosines * self.backbone.scale if self.scaled else cosines


class ClipIqa:
    """u_i = softmax(scale * cos to a good prompt, scale * cos to a bad one)[0], in 0..1 (CLIP-IQA: Wang et al., arXiv
    2207.12396, on whole pictures squashed to the model's size)."""

    needs_images = True
    reliability = WHOLE

    def __init__(self, backbone, prompts=QUALITY_PROMPTS):
        self.name, self.backbone, self.prompts = "clip_iqa", backbone, prompts
        self._text_features = None

    def score(self, pool):
        if self._text_features is None:
            self._text_features = self.backbone.text_features(*self.prompts)
        cosines = F.normalize(pool.features(self.backbone), dim=1) @ self._text_features.T
        return (cosines * self.backbone.scale).softmax(1)[:, 0]


class TextAxis(RowDistance):
    """b_ij = mean over the axes of |P_a (x_i - x_j)|^2 / (2 rank P_a), in 0..2: x the unit image embeddings, P_a onto the
    directions in which the text embedding moves when only the thing named by the axis changes (text as a basis of image space:
    Gandelsman et al., arXiv 2310.05916). Over the rank, the number of these directions, because each axis shall count the same:
    pictures that differ alike in all directions differ alike on an axis of two poles and on one of many.

    axes: "lighting, age" or with poles of their own "day / night, a child / an old man"; things without poles are varied by
    common opposites. Raises ValueError for axes without a word, and for poles that the model cannot tell apart.
    """

    def __init__(self, backbone, axes):
        self.name, self.backbone = f"text axis: {axes}", backbone
        self.axes = [[pole.strip() for pole in axis.split("/") if pole.strip()] for axis in axes.split(",")]
        self.axes = [axis for axis in self.axes if axis]
        if not self.axes:
            raise ValueError('The text_axis scorer needs to know what shall vary: fill in axes, for example "lighting, day / night".')
        self._directions = None

    def rows(self, pool):
        if self._directions is None:
            self._directions = self._span()
        return F.normalize(pool.features(self.backbone), dim=1) @ self._directions.T

    def between(self, rows):
        return squared_distance(rows).div_(2)

    def _span(self):
        """[R, D]: of each axis orthogonal rows of length 1 / sqrt(axes * its number of rows)."""
        spans = []
        for poles in self.axes:
            texts = poles if len(poles) > 1 else [f"{word} {poles[0]}" for word in QUALIFIERS]
            found = self.backbone.text_features(*texts)
            _, size, directions = torch.linalg.svd(found - found.mean(0), full_matrices=False)
            if size.max() < 1e-5:
                raise ValueError(f"The poles of the axis '{' / '.join(poles)}' look the same to the model: name others in axes.")
            directions = directions[size > 1e-4 * size.max()]
            spans.append(directions / (len(self.axes) * len(directions)) ** 0.5)
        return torch.cat(spans)
