"""Vision models as callables from pictures to features, shared by all scorers that use the same folder."""

import weakref

import torch
import torch.nn.functional as F

from . import weights
from .residency import Resident

_shared = weakref.WeakValueDictionary()


class Backbone:
    """A transformers model from a local folder, called on IMAGE tensors [M, H, W, 3] in 0..1 of any size and shape."""

    def __init__(self, folder):
        import transformers

        self.folder = folder
        self.size, self.mean, self.std = weights.image_preprocessing(folder)
        self.resident = Resident(self.load(transformers))

    @classmethod
    def shared(cls, name):
        """The backbone of the installed folder `name`, loaded once however many scorers use it."""
        folder = weights.find(cls.model_type, name)
        backbone = _shared.get((cls, folder))
        if backbone is None:
            backbone = _shared[cls, folder] = cls(folder)
        return backbone

    def __call__(self, images):
        return self.resident.over(images, lambda net, chunk: self.features(net, self.pixels(chunk, net.dtype)))

    def pixels(self, images, dtype):
        """The model's own preprocessing, on tensors: squashed to its size, so that nothing at the edges is cut off."""
        x = F.interpolate(images[..., :3].movedim(-1, 1).float(), size=self.size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(v, device=x.device).view(3, 1, 1) for v in (self.mean, self.std))
        return ((x - mean) / std).to(dtype)
