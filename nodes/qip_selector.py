import logging
import math

import torch
from comfy.nested_tensor import NestedTensor
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..sampling.choose import Objective, choose
from ..sampling.notices import show_on_node
from ..sampling.prompt_text import prompt_text
from ..sampling.record import Run
from ..sampling.summary import summary
from ..scorers.combine import Given
from ..scorers.pool import Pool, pictures
from .types import CATEGORY, SUMMARY, advanced_objective_inputs, objective_inputs, solver_input


class QIPSelector(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="QIPSelector",
            display_name="QIP Selector",
            category=CATEGORY,
            description="Picks the jointly best group out of any images: a batch, a list, a folder loaded from disk. Maximises the sum of unary scores plus lambda_score times the sum of pairwise distances.",
            search_aliases=["group inference", "select images", "diverse", "subset", "best of n", "pick images"],
            is_input_list=True,
            inputs=[
                io.Image.Input("image", tooltip="A batch or a list of images of one size."),
                io.Int.Input("output_group_size", default=4, min=1, max=4096, tooltip="How many are selected."),
                *objective_inputs(),
                io.Latent.Input("latent", optional=True, tooltip="The latents that belong to the images, one each."),
                *advanced_objective_inputs(),
                io.Float.Input(
                    "scores",
                    optional=True,
                    force_input=True,
                    tooltip="Instead of a unary scorer: one number per image, from any other node.",
                ),
                io.Float.Input(
                    "distances",
                    optional=True,
                    force_input=True,
                    tooltip="Instead of a pairwise scorer: for M images a list of M x M numbers, row by row, symmetric and not negative.",
                ),
                solver_input(),
            ],
            outputs=[
                io.Image.Output(display_name="IMAGE", tooltip="The selected images, best first by their share of the objective."),
                io.Latent.Output(display_name="LATENT", tooltip="Their latents, if latents were connected."),
                io.Int.Output(display_name="indices", is_output_list=True, tooltip="Where each selected image was, from 0."),
                io.String.Output(display_name="report", tooltip="JSON: scores, selection and its proof; images are named by their index."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image,
        output_group_size,
        lambda_score,
        objective=("paper",),
        solver_time_limit=(1.0,),
        unary=(None,),
        pairwise=(None,),
        latent=(),
        scores=(),
        distances=(),
        solver=("auto",),
    ) -> io.NodeOutput:
        (images, seen), samples, n = join_images(image), latent_samples(latent), output_group_size[0]
        count = sum(s.shape[0] for s in samples)
        if samples and count != len(images):
            raise ValueError(
                f"There are {len(images)} images but {count} latents: connect the latents that the images were decoded from, or none (of a video every frame is an image here)."
            )
        if n > len(images):
            raise ValueError(
                f"output_group_size ({n}) is larger than the number of images ({len(images)}): lower it or connect more images."
            )
        unary, pairwise = (next(iter(scorer), None) for scorer in (unary, pairwise))
        unary, pairwise = given("scores", scores, unary, (len(images),)), given("distances", distances, pairwise, (len(images),) * 2)
        goal = Objective(unary, pairwise, lambda_score[0], objective[0], solver_time_limit[0], solver[0])
        if not goal.scorers:
            raise ValueError(
                "Nothing is connected to choose by: connect a Difference Scorer (color and structure need no download) or a Quality Scorer, scores or distances."
            )
        latents = join_latents(samples) if samples else None
        # Of a video with sound the pictures count.
        x0 = latents.unbind()[0] if samples and latents.is_nested else latents
        choice = choose(Pool(seen, x0, text=prompt_text()), goal, n)
        order = choice.chosen
        run = Run({"starting_candidates": len(images), "output_group_size": n, **goal.settings()}, seeds=order)
        run.rounds = [choice.as_round(0, 0.0, list(range(len(images))), {})]
        run.seconds.update(choice.seconds)
        below = [f"Image {i} (counted from 0) was left out: it is below the quality floor." for i in choice.below_floor]
        run.warnings = (
            choice.unmet
            + below
            + [f"Image {i} (counted from 0) was left out: its score is not finite." for i, ok in enumerate(choice.finite) if not ok]
        )
        for warning in run.warnings:
            logging.warning(warning)
        said = summary(run, "images", "numbers (from 0)")
        show_on_node(said)
        kept = {"samples": latents[order]} if samples else ExecutionBlocker("QIPSelector has no latents to give: connect its latent input.")
        return io.NodeOutput(images[order], kept, order, run.to_json(), ui={SUMMARY: said})


def given(name, values, scorer, shape):
    """A scorer of numbers from outside, or `scorer` where there are none. Raises ValueError for numbers that cannot be scores."""
    try:
        flat = torch.tensor(list(_numbers(values)), dtype=torch.float64)
    except (TypeError, ValueError) as e:
        raise ValueError(f"{name} must hold numbers only, in lists, arrays or tensors if they are many: {e}.") from e
    if not len(flat):
        return scorer
    if scorer is not None:
        raise ValueError(f"Both {name} and a scorer are connected: disconnect one, or give the scorer's numbers as {name}.")
    if flat.numel() != math.prod(shape):
        raise ValueError(f"{name} holds {flat.numel()} numbers, but {shape[0]} images need {' x '.join(map(str, shape))}.")
    flat = flat.view(shape)
    if len(shape) == 2 and not (torch.allclose(flat, flat.T, rtol=1e-4, equal_nan=True) and not (flat < 0).any()):
        raise ValueError(f"{name} must be symmetric and not negative: the distance of images i and j is that of j and i.")
    return Given(name, flat)


def _numbers(values):
    for value in values:
        value = value.tolist() if hasattr(value, "tolist") else value  # arrays and tensors
        if isinstance(value, list | tuple):
            yield from _numbers(value)
        elif value is not None:
            yield float(value)


def join_images(batches):
    """One batch [M, H, W, C] of a list of batches as they came, and the same as scorers see it [M, H, W, 3]; both the latter where
    kinds of tensors are mixed. Raises ValueError for no images, for different sizes, and for pixels that are not finite."""
    if not batches:
        raise ValueError("The input image holds no images: connect at least one.")
    seen = [pictures(b) for b in batches]
    sizes = {tuple(b.shape[1:-1]) for b in seen}
    if len(sizes) > 1:
        named = ", ".join("x".join(map(str, reversed(size))) for size in sorted(sizes))
        raise ValueError(f"The images have different sizes ({named}): scale them to one size first, with ImageScale for example.")
    broken = (~torch.cat([b.isfinite().flatten(1).all(1).cpu() for b in batches])).nonzero().flatten().tolist()
    if broken:
        raise ValueError(
            f"Image {broken[0]} (counted from 0) holds NaN or infinite pixels: decode it again at higher precision or leave it out."
        )
    alike = len({(b.shape[-1], b.dtype, b.device) for b in batches}) == 1
    seen = torch.cat(seen)
    return torch.cat(batches) if alike else seen, seen


def latent_samples(latents):
    """The tensors in a list of LATENTs. Raises ValueError for what is no latent."""
    found = [x.get("samples") if isinstance(x, dict) else None for x in latents]
    for x, samples in zip(latents, found, strict=True):
        if not (getattr(samples, "is_nested", False) or (torch.is_tensor(samples) and samples.ndim > 1)):
            raise ValueError(f"The input latent got a {type(x).__name__} without a batch of samples: connect a LATENT, or nothing.")
    return found


def join_latents(batches):
    """One batch of a list of batches of latents, nested or not. Raises ValueError for different sizes."""
    parts = [b.unbind() if b.is_nested else [b] for b in batches]
    sizes = {tuple(tuple(t.shape[1:]) for t in tensors) for tensors in parts}
    if len(sizes) > 1:
        raise ValueError("The latents have different sizes: connect those that the images were decoded from, or none.")
    joined = [torch.cat(tensors) for tensors in zip(*parts, strict=True)]
    return NestedTensor(joined) if batches[0].is_nested else joined[0]
