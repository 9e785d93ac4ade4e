"""Dual encoders in open_clip's layout, such as HPSv2.1 (Wu et al., arXiv 2306.09341), which is a ViT-H-14."""

import json

import torch
import torch.nn.functional as F

from . import loading
from .backbone import DualEncoder, scaled

HPS_ARCHITECTURE = "ViT-H-14"


class OpenClip(DualEncoder):
    """A folder with open_clip_model.safetensors and perhaps open_clip_config.json; without the latter it is a ViT-H-14."""

    model_type = "open_clip"

    def __init__(self, folder):
        try:
            import open_clip
        except ImportError as e:
            raise ImportError(
                "The hpsv2 scorer needs the package open_clip_torch: run 'pip install open_clip_torch' in ComfyUI's Python."
            ) from e
        path = folder / "open_clip_config.json"
        self.config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.architecture = self.config.get("model_cfg") or open_clip.get_model_config(HPS_ARCHITECTURE)
        super().__init__(folder)

    def preprocessing(self, folder):
        from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

        size, given = self.architecture["vision_cfg"]["image_size"], self.config.get("preprocess_cfg", {})
        return (size, size), 1.0, given.get("mean", OPENAI_DATASET_MEAN), given.get("std", OPENAI_DATASET_STD)

    def load(self, folder):
        import open_clip
        from open_clip.model import CLIP

        net = CLIP(**self.architecture)
        loading.fill(net, loading.tensors(folder / "open_clip_model.safetensors"), folder)
        net.dtype = torch.float32
        self.text_length = net.context_length
        self._tokenize = open_clip.SimpleTokenizer(context_length=self.text_length)
        return net

    def prepared(self, x):
        """Letterboxed, as HPSv2 is defined (resize_longest_max in its transform.py): the longer side at the model's size, black
        bars around it."""
        height, width = (max(1, round(side * self.size[0] / max(x.shape[-2:]))) for side in x.shape[-2:])
        left, top = (self.size[1] - width) // 2, (self.size[0] - height) // 2
        return F.pad(scaled(x, (height, width)), (left, self.size[1] - width - left, top, self.size[0] - height - top))

    def features(self, net, pixels):
        return net.encode_image(pixels).float()

    def tokens(self, texts):
        return self._tokenize(texts)

    def token_count(self, text):
        return len(self._tokenize.encode(text)) + 2

    def text_embedding(self, net, tokens):
        return net.encode_text(tokens)
