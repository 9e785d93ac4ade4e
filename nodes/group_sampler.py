from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..board.pause import answers, ask
from ..board.saved import attach, write_back
from ..board.watched import watch, watched
from ..sampling.choose import Objective
from ..sampling.group import GroupSampler
from ..sampling.inputs import check_latent
from ..sampling.kept import STORE
from ..sampling.pause import Pause
from ..sampling.record import left, report_of, row_of
from ..sampling.rows import pick
from ..sampling.schedule import Schedule
from ..sampling.seeds import Members
from ..sampling.summary import summary
from .types import CATEGORY, SUMMARY, group_inputs, seeds_output


class GroupSamplerNode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GroupSampler",
            display_name="Group Sampler",
            category=CATEGORY,
            description="Wraps any SAMPLER for SamplerCustomAdvanced: many candidates start from the seed of its NOISE, only the jointly best group is finished. Use a latent of batch size 1, or one row per candidate.",
            search_aliases=["group inference", "custom sampler", "diverse", "diversity", "best of n", "variations", "prune"],
            inputs=[io.Sampler.Input("sampler", tooltip="The sampler that every candidate runs."), *group_inputs()],
            outputs=[io.Sampler.Output(display_name="SAMPLER")],
        )

    @classmethod
    def fingerprint_inputs(cls, pause_at=0.0, **inputs):
        # What was answered at a pause is not what these inputs give.
        return answers() if pause_at else 0

    @classmethod
    def execute(
        cls, sampler, starting_candidates, output_group_size, pruning_ratio, lambda_score=1.5, unary=None, pairwise=None, vae=None,
        start_percent=0.0, objective="paper", solver_time_limit=1.0, solver="auto", schedule="paper", budget=2.4, seeds="", pinned="",
        banned="", pause_at=0.0, workers=None,
    ) -> io.NodeOutput:  # fmt: skip
        goal = Objective(unary, pairwise, lambda_score, objective, solver_time_limit, solver)
        how = Schedule(output_group_size, starting_candidates, pruning_ratio, start_percent, schedule, budget)
        return io.NodeOutput(
            GroupSampler(sampler, how, goal, Members(seeds, pinned, banned), vae, watch=watch, pause=Pause(pause_at, ask), workers=workers)
        )


class GroupReport(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GroupReport",
            display_name="Group Report",
            category=CATEGORY,
            description="The report of a run with the Group Sampler: seeds of the group in output order, and every round's scores and survivors. And of any run the candidates that were not chosen.",
            search_aliases=["group inference", "report", "seeds", "scores", "rejected", "not chosen"],
            inputs=[
                io.Sampler.Input("sampler", optional=True, tooltip="The SAMPLER of the Group Sampler node."),
                io.Latent.Input("latent", optional=True, tooltip="The first output of the sampling node that used it."),
                io.String.Input("report", optional=True, force_input=True, tooltip="Instead of these two: the report of a Group KSampler."),
            ],
            outputs=[
                io.String.Output(display_name="report"),
                io.Latent.Output(display_name="LATENT", tooltip="The latent as it came, with the masks in the order of the group."),
                seeds_output(),
                io.Latent.Output(
                    display_name="rejected",
                    tooltip="The candidates that were not chosen, the last to leave first, as they were predicted to become when they left.",
                ),
                seeds_output("rejected_seeds", "Of the rejected, in their order."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, sampler=None, latent=None, report=None) -> io.NodeOutput:
        if report is not None and sampler is None and latent is None:
            run = report_of(report)
            nothing = ExecutionBlocker("Group Report has no LATENT to give of a report alone: take that of the sampler.")
            return io.NodeOutput(report, nothing, run["seeds"], *rejected(run))
        if not isinstance(sampler, GroupSampler):
            raise ValueError(
                "GroupReport reports on a Group Sampler: connect the SAMPLER output of that node, and the latent that was sampled with it; or the report of a Group KSampler alone."
            )
        check_latent(latent)
        run = sampler.run_of(latent["samples"])
        if latent.get("noise_mask") is not None:
            latent = {**latent, "noise_mask": pick(latent["noise_mask"], [run.row(seed) for seed in run.seeds])}
        text = run.to_json()
        if seen := watched(run.id):
            attach(text, cls.hidden, seen.node)
        write_back(run.changed, cls.hidden, GroupSamplerNode, through="sampler")
        return io.NodeOutput(text, latent, run.seeds, *rejected(report_of(text)), ui={SUMMARY: summary(run)})


def rejected(run):
    """(LATENT, seeds) of those that were not chosen, the last to leave first."""
    named = [(seed, row_of(run, seed), look["step"]) for seed, look in reversed(left(run))]
    seeds = [seed for seed, *_ in named]
    if not seeds:
        nobody = ExecutionBlocker("Group Report has no rejected candidates to give: all that started were chosen.")
        return nobody, nobody
    try:
        latents = STORE.by_id(run.get("pool")).latents(named)
    except ValueError as e:  # of use to who connects it alone
        return ExecutionBlocker(str(e)), seeds
    return {"samples": latents}, seeds
