"""Socket types and inputs that several nodes share."""

import nodes
from comfy_api.latest import io

from ..sampling.choose import OBJECTIVES, SOLVERS
from ..sampling.schedule import SCHEDULES

CATEGORY = f"{nodes.KSampler.CATEGORY}/group"
# Of what a node shows when it is done, see web/summary.js.
SUMMARY = "group_summary"
# The id of the run, see web/board/board.js.
BOARD = "group_board"
GroupUnary = io.Custom("GROUP_UNARY")
GroupPairwise = io.Custom("GROUP_PAIRWISE")
GroupWorkers = io.Custom("GROUP_WORKERS")


def group_inputs():
    """How a pool becomes a group: the inputs of both samplers, in the order they appear."""
    return [
        io.Int.Input(
            "starting_candidates",
            default=16,
            min=1,
            max=4096,
            advanced=True,
            tooltip="Of schedule paper: how many candidates start, seed, seed + 1, ... A latent batch whose rows differ replaces this by its rows, in schedule budget too.",
        ),
        io.Int.Input("output_group_size", default=4, min=1, max=4096, tooltip="How many are finished and returned."),
        io.Float.Input(
            "pruning_ratio",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=True,
            tooltip="Of schedule paper: share of the candidates removed after each step until output_group_size are left. 0 keeps all to the end and selects once.",
        ),
        *objective_inputs(),
        io.Vae.Input(
            "vae",
            optional=True,
            tooltip="Decodes the predicted images for scoring. Without it the model's TAESD is used if its files are in models/vae_approx, else a coarse latent-to-RGB picture.",
        ),
        io.Float.Input(
            "start_percent",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            optional=True,
            advanced=True,
            tooltip="Of schedule paper: no candidate is removed before this share of the steps is done.",
        ),
        *advanced_objective_inputs(),
        solver_input(),
        # The values of saved workflows are known by their position: whatever is new comes last.
        io.Combo.Input(
            "schedule",
            options=list(SCHEDULES),
            default="budget",
            optional=True,
            tooltip="budget: how many candidates start, and who goes on when, follow from budget. paper: from starting_candidates, pruning_ratio and start_percent.",
        ),
        io.Float.Input(
            "budget",
            default=2.4,
            min=1.0,
            max=100.0,
            step=0.1,
            optional=True,
            tooltip="Of schedule budget: how many times the work of output_group_size plain images this may take, looks at the candidates included.",
        ),
        *member_inputs(),
        io.Float.Input(
            "pause_at",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            optional=True,
            advanced=True,
            tooltip="Stop at the first look after this share of the steps, or at the last look, and ask on the board who shall go on. 0: never. It goes on by itself after a minute in which nobody does anything, and at once where no browser has queued the run.",
        ),
        GroupWorkers.Input(
            "workers", optional=True, tooltip="Group Workers: more GPUs or machines for the same group. Nothing: this one alone."
        ),
    ]


def member_inputs():
    """Which candidates there are, and which of them are fixed or forbidden."""
    names = "Seeds and ranges of them, such as 3, 11, 40-47; of a latent whose rows differ also row 3, counted from 0; or a report, for the seeds of its group."
    return [
        io.String.Input(
            "seeds",
            default="",
            optional=True,
            advanced=True,
            tooltip=f"Exactly these candidates start, instead of seed, seed + 1, ... As many as output_group_size: these are finished. {names}",
        ),
        io.String.Input("pinned", default="", optional=True, advanced=True, tooltip=f"These are in the group. {names}"),
        io.String.Input(
            "banned",
            default="",
            optional=True,
            advanced=True,
            tooltip=f"These are not in the group: the seeds of the last one for the next best. {names}",
        ),
    ]


def seeds_output(name="seeds", tooltip="Of the group, in its order."):
    return io.Int.Output(display_name=name, is_output_list=True, tooltip=tooltip)


def objective_inputs():
    return [
        io.Float.Input(
            "lambda_score",
            default=2.0,
            min=0.0,
            max=1000.0,
            step=0.01,
            tooltip="Weight of difference against quality. 0: only quality counts.",
        ),
        GroupUnary.Input("unary", optional=True, tooltip="A Quality Scorer: how good one image is. Nothing: quality does not count."),
        GroupPairwise.Input(
            "pairwise",
            optional=True,
            tooltip="A Difference Scorer: how different two images are. Nothing: difference does not count beside quality.",
        ),
    ]


def advanced_objective_inputs():
    return [
        io.Combo.Input(
            "objective",
            options=list(OBJECTIVES),
            default="balanced",
            optional=True,
            advanced=True,
            tooltip="paper: raw scores, summed over all pairs. balanced: scores put on one scale and averaged, so that lambda_score means the same for every group size. max_min: as balanced, but with the smallest distance in the group. log_det: as balanced, but with the volume that the group spans. In these two no far image can pay for twins.",
        ),
        io.Float.Input(
            "solver_time_limit",
            default=1.0,
            min=0.0,
            max=600.0,
            step=0.1,
            optional=True,
            advanced=True,
            tooltip="Seconds the solver may take to prove each selection optimal. The best selection found is used in any case.",
        ),
    ]


def solver_input():
    """The last input: the values of saved workflows are known by their position."""
    return io.Combo.Input(
        "solver",
        options=list(SOLVERS),
        default="auto",
        optional=True,
        advanced=True,
        tooltip="auto: bounds and a search made for this program, HiGHS where it is faster. highs: HiGHS alone on the linearised program, for up to 256 candidates at a time; not with log_det.",
    )
