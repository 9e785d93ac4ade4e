"""CLIP (Radford et al., arXiv 2103.00020): text-image agreement and image-image distance."""

import logging

import torch
import torch.nn.functional as F

from .backbone import Backbone
from .pool import cosine_distance
from .weights import TEXT_FILES


class Clip(Backbone):
    """Any CLIP dual encoder in the Hugging Face layout. Features: projected image embeddings [M, D]."""

    model_type = "clip"

    def load(self, transformers):
        if not any((self.folder / name).exists() for name in ("tokenizer.json", "vocab.json")):
            raise FileNotFoundError(
                f"{self.folder} has no tokenizer.json: download {' and '.join(TEXT_FILES)} from the model's repository into it."
            )
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        return transformers.CLIPModel.from_pretrained(self.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)

    def features(self, net, pixels):
        return _embedding(net.get_image_features(pixel_values=pixels)).float()

    def text_features(self, text):
        """[1, D]; text over the model's length is cut, with a warning."""
        length = self.resident.module.net.config.text_config.max_position_embeddings
        if len(self.tokenizer(text).input_ids) > length:
            logging.warning("The scoring text is longer than CLIP's %d tokens and was cut: %s", length, text)
        ids = self.tokenizer([text], padding="max_length", truncation=True, max_length=length, return_tensors="pt").input_ids
        return self.resident.over(ids, lambda net, chunk: _embedding(net.get_text_features(input_ids=chunk)).float())


def _embedding(out):
    """transformers 4 returns the tensor, 5 an output whose pooler_output it is."""
    return out if torch.is_tensor(out) else out.pooler_output


class ClipText:
    """u_i = cos(image embedding, text embedding), in -1..1: the paper's unary term. Normalised in float32."""

    needs_images = True

    def __init__(self, backbone, text):
        self.name, self.backbone, self.text = "clip", backbone, text
        self._text_features = None

    def score(self, pool):
        if self._text_features is None:
            self._text_features = F.normalize(self.backbone.text_features(self.text), dim=1)
        return (F.normalize(pool.features(self.backbone), dim=1) @ self._text_features.T)[:, 0]


class ClipDistance:
    """b_ij = 1 - cos of the image embeddings, in 0..2."""

    needs_images = True

    def __init__(self, backbone):
        self.name, self.backbone = "clip", backbone

    def score(self, pool):
        return cosine_distance(pool.features(self.backbone))
