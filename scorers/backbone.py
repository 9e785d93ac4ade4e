"""Vision models as callables from pictures to features, shared by all scorers that use the same folder."""

import copy
import logging
import weakref

import torch
import torch.nn.functional as F

from . import weights
from .residency import Resident

# What of a picture a model sees; the first is the default.
PREPROCESS = ("model", "reference", "crop")
_shared = weakref.WeakValueDictionary()


class Backbone:
    """A model from a local folder, called on pictures [M, H, W, 3] in 0..1 of any size and shape.

    Subclasses say model_type (as config.json does), load(folder) and features(net, pixels) [M, ...], and what of the features
    is the picture as a whole: embedding(features) [M, D]. preprocess: one of PREPROCESS, see prepared.
    """

    preprocess = PREPROCESS[0]
    reference_size = (224, 224)

    def __init__(self, folder):
        self.folder = folder
        self.size, self.kept, self.mean, self.std = self.preprocessing(folder)
        self.resident = Resident(self.load(folder))

    @classmethod
    def shared(cls, name, preprocess=PREPROCESS[0]):
        """The backbone of the installed folder `name`, loaded once however many scorers use it."""
        folder = weights.find(cls.model_type, name)
        backbone = _shared.get((cls, folder, preprocess))
        if backbone is None:
            other = next((_shared.get((cls, folder, p)) for p in PREPROCESS if (cls, folder, p) in _shared), None)
            backbone = copy.copy(other) if other else cls(folder)
            backbone.preprocess = preprocess
            _shared[cls, folder, preprocess] = backbone
        return backbone

    @property
    def patcher(self):
        return self.resident.patcher

    def preprocessing(self, folder):
        """(height, width) of the pictures that the model was made for, the share of their shorter side that its own centre crop
        keeps, mean [3], std [3]."""
        return weights.image_preprocessing(folder)

    def __call__(self, images):
        return self.resident.over(images, lambda net, chunk: self.features(net, self.pixels(chunk, net.dtype)))

    def embedding(self, features):
        return features

    def pixels(self, images, dtype):
        """Pictures [M, H, W, 3] in 0..1 as the model takes them, [M, 3, h, w]."""
        x = self.prepared(images.movedim(-1, 1))
        mean, std = (torch.tensor(v, device=x.device).view(3, 1, 1) for v in (self.mean, self.std))
        return ((x - mean) / std).to(dtype)

    def prepared(self, x):
        """[M, 3, H, W] in 0..1 at the model's size. model: squashed, so that nothing at the edges is cut off. reference: squashed
        as by the paper's code, bilinearly without antialiasing, to a size of its own. crop: the middle, undistorted, as in the
        model's training; cut out before it is scaled, so that a picture of any shape takes little memory."""
        if self.preprocess == "reference":
            return F.interpolate(x, size=self.reference_size, mode="bilinear", align_corners=False)
        if self.preprocess == "crop":
            side = max(1, round(min(x.shape[-2:]) * self.kept))
            top, left = ((whole - side) // 2 for whole in x.shape[-2:])
            x = x[..., top : top + side, left : left + side]
        return scaled(x, self.size)


class DualEncoder(Backbone):
    """A backbone with a text tower. Features: projected image embeddings [M, D]. Subclasses say tokens(texts) [N, L],
    token_count(text), text_length and text_embedding(net, tokens) [N, D]."""

    @property
    def scale(self):
        """What cosines are multiplied by in training."""
        return float(self.resident.module.net.logit_scale.exp())

    def text_features(self, *texts):
        """[N, D] float32, of unit length; a text over the model's length is cut, with a warning.

        Raises ValueError when the tokenizer does not belong to the model: then all texts look the same to it.
        """
        for text in texts:
            if self.token_count(text) > self.text_length:
                logging.warning("The scoring text is longer than the model's %d tokens and was cut: %s", self.text_length, text)
        ids = self.tokens([*texts, "", "another text"])
        found = F.normalize(self.resident.over(ids, lambda net, chunk: self.text_embedding(net, chunk).float()), dim=1)
        if torch.allclose(found[-1], found[-2], atol=1e-6):
            raise ValueError(
                f"The tokenizer in {self.folder} does not fit its model, all texts look the same to it: download both from one repository."
            )
        return found[: len(texts)]


def scaled(x, size):
    """[M, 3, H, W] in 0..1 at another size (height, width)."""
    return F.interpolate(x, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def embedding_of(out):
    """transformers 4 returns the projected embedding, 5 an output whose pooler_output it is."""
    return out if torch.is_tensor(out) else out.pooler_output
