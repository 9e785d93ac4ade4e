"""What a look costs in model rows, counted from the sizes of what computes it: never timed, so that the same inputs make the same plan
on every machine."""

import math

from .variants import belongs

# At how many places a network that scales its picture down or up uses each of its weights: one in so many of those of its larger
# side. Counted operations say 12.5 for SDXL's UNet, 10.4 for SD 1.5's, 9.9 for their VAE's decoder, 4.5 for TAESD's.
PLACES = 12
# Side of the pieces of a picture that a vision transformer takes as one place.
PIECE = 14


def look_price(guider, shape, previewer, scorers):
    """A look at one candidate, in model rows. shape: of the latent [1, C, ..., h, w]; previewer: None where nothing is decoded."""
    seen = {id(backbone): backbone for backbone in (getattr(s, "backbone", s) for s in scorers)}
    look = (previewer.work(shape) if previewer else 0) + sum(score_work(backbone) for backbone in seen.values())
    # A latent without pixels has no work; the host says what is wrong with it.
    return look / max(1, row_work(guider, shape))


def row_work(guider, shape):
    """Operations of one step of one candidate, with guidance."""
    net = guider.inner_model.diffusion_model
    patch = getattr(net, "patch_size", None)
    patch = math.prod(patch) if isinstance(patch, list | tuple) else patch**2 if isinstance(patch, int) else PLACES
    return max(1, _evaluations(guider)) * _work(net, math.prod(shape[2:]) / patch)


def _evaluations(guider):
    """Of the model in a step: one for each conditioning that the first candidate has, without the negative where the host leaves it out."""
    alone = math.isclose(getattr(guider, "cfg", 0.0), 1.0)
    counted = (entries for kind, entries in guider.conds.items() if not (alone and kind == "negative"))
    return sum(belongs(entry, 0) for entries in counted for entry in entries)


def decode_work(vae, height, width):
    """Operations of decoding one picture of so many pixels with the host's VAE; 0 for another pack's that does not show its network."""
    stage = getattr(vae, "first_stage_model", None)
    if stage is None:
        return 0
    decoders = [part for name, part in stage.named_children() if "decoder" in name]
    return sum(_work(part, height * width / PLACES) for part in decoders or [stage])


def score_work(backbone):
    """Operations of one picture's features."""
    height, width = getattr(backbone, "size", (0, 0))
    net = getattr(getattr(backbone, "patcher", None), "model", None)
    return 0 if net is None else _work(net, height * width / PIECE**2)


def _work(net, places):
    """A multiplication and an addition for each weight and place; what has one dimension is added or scaled by, at no cost that counts."""
    return 2 * places * sum(p.numel() for p in net.parameters() if p.ndim > 1)
