import hashlib
import logging
import math
import time

import numpy as np
import torch
from comfy.nested_tensor import NestedTensor
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..board.saved import attach
from ..board.thumbnails import Thumbnails
from ..board.watched import someone_looks, watch
from ..sampling.choose import Objective, decide
from ..sampling.inputs import check_whole_numbers
from ..sampling.notices import show_on_node
from ..sampling.pictures import Batches, Folder
from ..sampling.prompt_text import prompt_text
from ..sampling.record import Run
from ..sampling.seeds import parse, refuse_both
from ..sampling.summary import MOST_SEEDS, summary
from ..scorers.combine import Given
from .types import BOARD, CATEGORY, SUMMARY, advanced_objective_inputs, objective_inputs, solver_input


class QIPSelector(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="QIPSelector",
            display_name="QIP Selector",
            category=CATEGORY,
            description="Picks the jointly best group out of any images: a batch, a list, a folder on disk. Maximises the sum of unary scores plus lambda_score times the sum of pairwise distances.",
            search_aliases=["group inference", "select images", "diverse", "subset", "best of n", "pick images", "folder"],
            is_input_list=True,
            inputs=[
                io.Image.Input("image", optional=True, tooltip="A batch or a list of images, of one size or of several."),
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
                io.String.Input(
                    "folder",
                    default="",
                    optional=True,
                    tooltip="Instead of image: a folder in ComfyUI's input or output folder, such as cats or cats [output]. Thousands of pictures are looked at one by one; only the selected are loaded whole.",
                ),
                io.Int.Input(
                    "seeds",
                    optional=True,
                    force_input=True,
                    tooltip="The seeds that belong to the images, one each, from a group sampler for example: images are then named by them.",
                ),
                io.String.Input(
                    "pinned",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="These are selected: numbers of images from 0 and ranges of them, such as 3, 11, 40-47; seeds, where seeds are connected; or a report, for the seeds of its group.",
                ),
                io.String.Input("banned", default="", optional=True, advanced=True, tooltip="These are not selected; named as in pinned."),
            ],
            outputs=[
                io.Image.Output(
                    display_name="IMAGE",
                    is_output_list=True,
                    tooltip="The selected images, best first by their share of the objective: one batch, or a list where the images have several sizes.",
                ),
                io.Latent.Output(display_name="LATENT", tooltip="Their latents, if latents were connected."),
                io.Int.Output(display_name="indices", is_output_list=True, tooltip="Where each selected image was, from 0."),
                io.String.Output(
                    display_name="report",
                    tooltip="JSON: scores, selection and its proof; images are named by their index, or by their seeds if these are connected. files: the names of a folder's.",
                ),
                io.Image.Output(
                    display_name="rejected",
                    is_output_list=True,
                    tooltip="The images that were not selected, one by one. Not of a folder, whose other pictures are not loaded.",
                ),
                io.Int.Output(display_name="rejected_indices", is_output_list=True, tooltip="Where each of these was, from 0."),
                io.Int.Output(
                    display_name="seeds", is_output_list=True, tooltip="The seeds of the selected images, if seeds were connected."
                ),
            ],
            hidden=[io.Hidden.extra_pnginfo, io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, folder=(), **inputs):
        """Of what is in the folder, so that other files are another input."""
        try:
            return hashlib.sha256(repr([Folder(name).fingerprint for name in folder if name.strip()]).encode()).hexdigest()
        except (ValueError, AttributeError):  # which the run says
            return ""

    @classmethod
    def execute(
        cls, image=(), output_group_size=(4,), lambda_score=(2.0,), objective=("paper",), solver_time_limit=(1.0,), unary=(None,),
        pairwise=(None,), latent=(), scores=(), distances=(), solver=("auto",), folder=("",), seeds=(), pinned=("",), banned=("",),
    ) -> io.NodeOutput:  # fmt: skip
        pictures = source(image, folder, latent=latent, scores=scores, distances=distances, seeds=seeds)
        samples, n, count = latent_samples(latent), output_group_size[0], pictures.count
        if samples and sum(s.shape[0] for s in samples) != count:
            raise ValueError(
                f"There are {count} images but {sum(s.shape[0] for s in samples)} latents: connect the latents that the images were decoded from, or none (of a video every frame is an image here)."
            )
        check_size(n, count)
        names = image_seeds(seeds, count)
        indices_of(pinned[0], banned[0], names, count, n)  # said before anything is looked at
        unary, pairwise = (next(iter(scorer), None) for scorer in (unary, pairwise))
        unary, pairwise = given("scores", scores, unary, (count,)), given("distances", distances, pairwise, (count, count))
        goal = Objective(unary, pairwise, lambda_score[0], objective[0], solver_time_limit[0], solver[0])
        if not goal.scorers:
            raise ValueError(
                "Nothing is connected to choose by: connect a Difference Scorer (color and structure need no download) or a Quality Scorer, scores or distances."
            )
        goal.check_count(count)
        latents = join_latents(samples) if samples else None
        # Of a video with sound the pictures count.
        x0 = latents.unbind()[0] if samples and latents.is_nested else latents
        started = time.perf_counter()
        said, count = pictures.said(goal, x0, prompt_text()), pictures.count
        check_size(n, count)
        pinned, banned = indices_of(pinned[0], banned[0], names, count, n)  # broken files of a folder do not count
        choice = decide(said, goal, n, pinned, seconds=time.perf_counter() - started - pictures.reading, banned=banned)
        order, rest = choice.chosen, np.setdiff1d(np.arange(count), choice.chosen).tolist()
        run = record(pictures, goal, n, choice, names)
        watch(run, Thumbnails(names or range(count), pictures.thumbnails if someone_looks() else []), choice.asked, over=True)
        said = summary(run, "images", "seeds" if names else "numbers (from 0)")
        show_on_node(said)
        text = run.to_json()
        attach(text, cls.hidden)
        nothing = lambda what, socket: ExecutionBlocker(f"QIPSelector has no {what} to give: connect its {socket} input.")
        return io.NodeOutput(
            pictures.whole(order),
            {"samples": latents[order]} if samples else nothing("latents", "latent"),
            order,
            text,
            pictures.alone(rest) if rest else ExecutionBlocker(None),
            rest or ExecutionBlocker(None),
            run.seeds if names else nothing("seeds", "seeds"),
            ui={SUMMARY: said, BOARD: [run.id]},
        )


def record(pictures, goal, n, choice, seeds):
    """The Run of a selection among images that are called by these seeds, or by their places where there are none."""
    count, order, files = pictures.count, choice.chosen, pictures.names
    names = seeds or list(range(count))
    called = [f"The image with seed {name}" if seeds else f"Image {name} (counted from 0)" for name in names]
    called = [f"{one}, {file}," for one, file in zip(called, files, strict=True)] if files else called
    settings = {"starting_candidates": count, "output_group_size": n, **goal.settings()}
    run = Run(settings, seeds=[names[i] for i in order], files=files)
    run.rounds = [choice.as_round(0, 0.0, names, {})]
    run.seconds.update(choice.seconds, preview=pictures.reading)
    if files:
        run.notes = [f"Files: {', '.join(files[i] for i in order[:MOST_SEEDS])}{' and more' * (len(order) > MOST_SEEDS)}."]
    below = [f"{called[i]} was left out: it is below the quality floor." for i in choice.below_floor]
    broken = [f"{called[i]} was left out: its score is not finite." for i, ok in enumerate(choice.finite) if not ok]
    run.warnings = [*pictures.warnings, *choice.unmet, *below, *broken]
    for warning in run.warnings:
        logging.warning(warning)
    return run


def source(image, folder, **belonging):
    """Where the pictures come from. Raises ValueError for both, and for what belongs to images beside a folder."""
    name = folder[0] if len(folder) == 1 else list(folder) or ""
    if not isinstance(name, str):
        raise ValueError(f"folder must be one text, but it is a {type(name).__name__}: connect a STRING, or type it.")
    if not name.strip():
        return Batches(image)
    if len(image):
        raise ValueError("Both image and folder are given: disconnect image, or clear folder.")
    for socket, values in belonging.items():
        if len(values):
            raise ValueError(
                f"{socket} belongs to connected images, and folder is given: disconnect {socket}, or load the images with other nodes."
            )
    return Folder(name)


def check_size(n, count):
    if n > count:
        raise ValueError(f"output_group_size ({n}) is larger than the number of images ({count}): lower it or connect more images.")


def indices_of(pinned, banned, seeds, count, n):
    """Indices of the images that these texts name by their seeds, or by their numbers where there are none. Raises ValueError for what
    contradicts itself or is not there."""
    names = seeds or range(count)
    pinned, banned = (parse(name, text, None if seeds else count) for name, text in (("pinned", pinned), ("banned", banned)))
    refuse_both(pinned, banned)
    places = {name: place for place, name in enumerate(names)}
    for name, own in (("pinned", pinned), ("banned", banned)):
        if strange := [one for one in own if one not in places]:
            raise ValueError(f"{name} names {strange[0]}, but no image is called so: they are called {names[0]} to {names[-1]}.")
    if len(pinned) > n:
        raise ValueError(f"pinned names {len(pinned)} images, but output_group_size is {n}: pin fewer, or raise it.")
    if len(names) - len(banned) < n:
        raise ValueError(f"banned leaves {len(names) - len(banned)} images, but output_group_size is {n}: ban fewer, or lower it.")
    return [places[one] for one in pinned], [places[one] for one in banned]


def image_seeds(seeds, count):
    """The seeds by which images are called, none where none are connected. Raises ValueError for others than one for each."""
    seeds = list(_flat(seeds))
    for seed in seeds:
        if not isinstance(seed, int):
            raise ValueError(
                f"seeds must hold whole numbers only, and holds a {type(seed).__name__}: connect the seeds output of a sampler."
            )
        check_whole_numbers(seed=seed)
    if len(seeds) not in (0, count) or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds must be one for each of the {count} images, all different, and here are {len(seeds)}, {len(set(seeds))} of them different: connect the seeds output of the sampler that made these images, or nothing."
        )
    return seeds


def given(name, values, scorer, shape):
    """A scorer of numbers from outside, or `scorer` where there are none. Raises ValueError for numbers that cannot be scores."""
    try:
        flat = torch.tensor([float(value) for value in _flat(values)], dtype=torch.float64)
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


def _flat(values):
    for value in values:
        value = value.tolist() if hasattr(value, "tolist") else value  # arrays and tensors
        if isinstance(value, list | tuple):
            yield from _flat(value)
        elif value is not None:
            yield value


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
