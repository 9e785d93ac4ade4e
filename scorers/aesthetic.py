"""The LAION aesthetic predictor v2: five linear layers on CLIP ViT-L/14 embeddings."""

import torch.nn.functional as F

from . import loading, weights

FOLDER = "aesthetic-v2"
WIDTHS = (768, 1024, 128, 64, 16, 1)


class Aesthetic:
    """u_i = W5(W4(...(W1 x))) of the unit embedding x, about 1..10, higher is better (improved-aesthetic-predictor,
    sac+logos+ava1-l14-linearMSE; trained with dropout between the layers and no activations).

    backbone: a CLIP with embeddings of 768 numbers, ViT-L/14. Raises ValueError for another or for a head of another shape.
    """

    name = "aesthetic"
    needs_images = True

    def __init__(self, backbone):
        self.backbone, folder = backbone, weights.find("aesthetic", FOLDER)
        found = loading.tensors(folder / "model.safetensors")
        matrices = sorted((name, value) for name, value in found.items() if value.ndim == 2)
        shapes = [tuple(value.shape) for _, value in matrices]
        if shapes != [(b, a) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)]:
            raise ValueError(f"{folder} does not hold the aesthetic predictor v2: its layers have the shapes {shapes}.")
        self.layers = [(value.float(), found[name.replace("weight", "bias")].float()) for name, value in matrices]

    def score(self, pool):
        x = F.normalize(pool.features(self.backbone).float(), dim=1)
        if x.shape[1] != WIDTHS[0]:
            raise ValueError(
                f"The aesthetic scorer needs CLIP ViT-L/14, whose embeddings have {WIDTHS[0]} numbers, not {x.shape[1]}: choose clip-vit-large-patch14."
            )
        for matrix, bias in self.layers:
            x = x @ matrix.T + bias
        return x[:, 0]
