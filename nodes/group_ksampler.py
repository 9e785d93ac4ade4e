import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import nodes
from comfy.sampler_helpers import convert_cond
from comfy_api.latest import io

from ..board.pause import answers, ask
from ..board.saved import attach, write_back
from ..board.watched import watch
from ..sampling.candidates import different_rows
from ..sampling.choose import Objective
from ..sampling.group import GroupSampler
from ..sampling.inputs import check_conditioning, check_latent, check_model, check_numbers, check_shape, check_whole_numbers
from ..sampling.pause import Pause
from ..sampling.plan import noise_gone
from ..sampling.rows import pick
from ..sampling.schedule import Schedule
from ..sampling.seeds import Members
from ..sampling.summary import summary
from .types import BOARD, SUMMARY, group_inputs, seeds_output


class GroupKSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GroupKSampler",
            display_name="Group KSampler",
            # The host moves its samplers from one menu to another.
            category=nodes.KSampler.CATEGORY,
            description="A KSampler that starts many candidates, looks at their predicted images on the way and finishes only the group that is jointly best: good, and different from each other. Result i of the report's seeds is what a KSampler with that seed gives.",
            search_aliases=[
                "ksampler",
                "group inference",
                "diverse",
                "diversity",
                "best of n",
                "variations",
                "batch",
                "seed hunt",
                "prune",
            ],
            inputs=[
                io.Model.Input("model", tooltip="The model used for denoising the input latent."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the first candidate; candidate i has seed + i.",
                ),
                io.Int.Input("steps", default=20, min=1, max=10000, tooltip="The number of steps used in the denoising process."),
                io.Float.Input("cfg", default=8.0, min=0.0, max=100.0, step=0.1, round=0.01, tooltip="Classifier-free guidance scale."),
                io.Combo.Input(
                    "sampler_name",
                    options=comfy.samplers.KSampler.SAMPLERS,
                    tooltip="Any of the host's samplers; each candidate runs it unmodified.",
                ),
                io.Combo.Input("scheduler", options=comfy.samplers.KSampler.SCHEDULERS, tooltip="How noise is removed over the steps."),
                io.Conditioning.Input("positive", tooltip="What to include in the image."),
                io.Conditioning.Input("negative", tooltip="What to exclude from the image."),
                io.Latent.Input(
                    "latent_image", tooltip="The latent to denoise: one for all candidates, or a batch whose rows are the candidates."
                ),
                io.Float.Input("denoise", default=1.0, min=0.0, max=1.0, step=0.01, tooltip="Lower values keep more of the input latent."),
                *group_inputs(),
            ],
            outputs=[
                io.Latent.Output(display_name="LATENT", tooltip="The group, best first by its share of the objective."),
                io.String.Output(
                    display_name="report", tooltip="JSON: seeds of the group in output order, and every round's scores and survivors."
                ),
                seeds_output(),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, pause_at=0.0, **inputs):
        # What was answered at a pause is not what these inputs give.
        return answers() if pause_at else 0

    @classmethod
    def execute(
        cls, model, seed, steps, cfg, sampler_name, scheduler, positive, negative, latent_image, denoise, starting_candidates, output_group_size, pruning_ratio,
        lambda_score=1.5, unary=None, pairwise=None, vae=None, start_percent=0.0, objective="paper", solver_time_limit=1.0,
        solver="auto", schedule="paper", budget=2.4, seeds="", pinned="", banned="", pause_at=0.0, workers=None,
    ) -> io.NodeOutput:  # fmt: skip
        check_model(model)
        check_whole_numbers(seed=seed, steps=steps)
        check_numbers(denoise=denoise, cfg=cfg)
        check_conditioning("positive", positive)
        check_conditioning("negative", negative)
        check_latent(latent_image)
        sigmas = comfy.samplers.KSampler(model, steps, model.load_device, sampler_name, scheduler, denoise, model.model_options).sigmas
        if len(sigmas) == 0:
            raise ValueError("denoise is 0, so there is nothing to sample: raise it.")
        latent = {k: v for k, v in latent_image.items() if not k.startswith("downscale_ratio_")}
        # The host keeps these in the latent under the names of its parameters.
        ratios = {k: v for k, v in latent_image.items() if k not in latent}
        samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"], **ratios)
        check_shape(samples, model.get_model_object("latent_format"))
        batch_index, mask = latent.pop("batch_index", None), latent.get("noise_mask")
        goal = Objective(unary, pairwise, lambda_score, objective, solver_time_limit, solver)
        how = Schedule(output_group_size, starting_candidates, pruning_ratio, start_percent, schedule, budget)
        who, sampler = Members(seeds, pinned, banned), comfy.samplers.sampler_object(sampler_name)
        group = GroupSampler(
            sampler, how, goal, who, vae, batch_index, ends_with_batch=False, watch=watch, pause=Pause(pause_at, ask), workers=workers
        )
        rows = different_rows(samples, mask, batch_index, convert_cond(positive) + convert_cond(negative))
        group.start(seed, rows, noise_gone(sigmas, model.get_model_object("model_sampling")))  # said before the model is loaded
        latent["samples"] = comfy.sample.sample_custom(
            model, comfy.sample.prepare_noise(samples, seed, batch_index), cfg, group, sigmas, positive, negative, samples, noise_mask=mask,
            callback=latent_preview.prepare_callback(model, steps), disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED, seed=seed,
        )  # fmt: skip
        run = group.last_run
        run.settings |= {"sampler_name": sampler_name, "scheduler": scheduler, "cfg": cfg, "denoise": denoise}
        if mask is not None:
            latent["noise_mask"] = pick(mask, [run.row(s) for s in run.seeds])
        text = run.to_json()
        attach(text, cls.hidden)
        write_back(run.changed, cls.hidden, cls)
        return io.NodeOutput(latent, text, run.seeds, ui={SUMMARY: summary(run), BOARD: [run.id]})
