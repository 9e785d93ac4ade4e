"""Vision models as callables from pictures to features, shared by all scorers that use the same folder."""

import copy
import logging
import weakref

import torch
import torch.nn.functional as F

from . import weights
from .residency import Resident

_shared = weakref.WeakValueDictionary()


class Backbone:
    """A model from a local folder, called on IMAGE tensors [M, H, W, 3] in 0..1 of any size and shape.

    Subclasses say model_type (as config.json does), load(folder) and features(net, pixels) [M, ...], and what of the features
    is the picture as a whole: embedding(features) [M, D]. reference: prepare pictures exactly as the paper's code does.
    """

    reference = False
    reference_size = (224, 224)

    def __init__(self, folder):
        self.folder = folder
        self.size, self.mean, self.std = self.preprocessing(folder)
        self.resident = Resident(self.load(folder))

    @classmethod
    def shared(cls, name, reference=False):
        """The backbone of the installed folder `name`, loaded once however many scorers use it."""
        folder = weights.find(cls.model_type, name)
        backbone = _shared.get((cls, folder, reference))
        if backbone is None:
            other = _shared.get((cls, folder, not reference))
            backbone = copy.copy(other) if other else cls(folder)
            backbone.reference = reference
            _shared[cls, folder, reference] = backbone
        return backbone

    @property
    def patcher(self):
        return self.resident.patcher

    def preprocessing(self, folder):
        """(height, width), mean [3], std [3] of the pictures that the model was made for."""
        return weights.image_preprocessing(folder)

    def __call__(self, images):
        return self.resident.over(images, lambda net, chunk: self.features(net, self.pixels(chunk, net.dtype)))

    def embedding(self, features):
        return features

    def pixels(self, images, dtype):
        """The model's own preprocessing, on tensors: squashed to its size, so that nothing at the edges is cut off. The
        paper's code squashes bilinearly without antialiasing instead, to a size of its own."""
        x = images[..., :3].movedim(-1, 1).float()
        if self.reference:
            x = F.interpolate(x, size=self.reference_size, mode="bilinear", align_corners=False)
        else:
            x = F.interpolate(x, size=self.size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(v, device=x.device).view(3, 1, 1) for v in (self.mean, self.std))
        return ((x - mean) / std).to(dtype)


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


def embedding_of(out):
    """transformers 4 returns the projected embedding, 5 an output whose pooler_output it is."""
    return out if torch.is_tensor(out) else out.pooler_output
