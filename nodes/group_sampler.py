from comfy_api.latest import io

from ..sampling.choose import Objective
from ..sampling.group import GroupSampler
from ..sampling.inputs import check_latent
from ..sampling.rows import pick
from ..sampling.schedule import Schedule
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
    def execute(
        cls, sampler, starting_candidates, output_group_size, pruning_ratio, lambda_score=1.5, unary=None, pairwise=None, vae=None,
        start_percent=0.0, objective="paper", solver_time_limit=1.0, solver="auto", schedule="paper", budget=2.4,
    ) -> io.NodeOutput:  # fmt: skip
        goal = Objective(unary, pairwise, lambda_score, objective, solver_time_limit, solver)
        how = Schedule(output_group_size, starting_candidates, pruning_ratio, start_percent, schedule, budget)
        return io.NodeOutput(GroupSampler(sampler, how, goal, vae))


class GroupReport(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GroupReport",
            display_name="Group Report",
            category=CATEGORY,
            description="The report of a run with the Group Sampler: seeds of the group in output order, and every round's scores and survivors.",
            search_aliases=["group inference", "report", "seeds", "scores"],
            inputs=[
                io.Sampler.Input("sampler", tooltip="The SAMPLER of the Group Sampler node."),
                io.Latent.Input("latent", tooltip="The first output of the sampling node that used it."),
            ],
            outputs=[
                io.String.Output(display_name="report"),
                io.Latent.Output(display_name="LATENT", tooltip="The latent as it came, with the masks in the order of the group."),
                seeds_output(),
            ],
        )

    @classmethod
    def execute(cls, sampler, latent) -> io.NodeOutput:
        if not isinstance(sampler, GroupSampler):
            raise ValueError("GroupReport reports on a Group Sampler: connect the SAMPLER output of that node.")
        check_latent(latent)
        run = sampler.run_of(latent["samples"])
        if latent.get("noise_mask") is not None:
            latent = {**latent, "noise_mask": pick(latent["noise_mask"], [run.row(seed) for seed in run.seeds])}
        return io.NodeOutput(run.to_json(), latent, run.seeds, ui={SUMMARY: summary(run)})
