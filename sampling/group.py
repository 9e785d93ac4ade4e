"""The group loop: candidates run, are looked at after each step, and the jointly best subset goes on."""

import logging
import time
from collections import deque

import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from comfy.samplers import Sampler
from tqdm.auto import tqdm

from ..scorers.pool import Pool
from .candidates import make_candidates
from .choose import choose
from .coupling import mixing, refuse_caches, refuse_memory
from .hub import Hub, Trajectory
from .inputs import check_model, check_numbers, check_shape, check_whole_numbers
from .notices import show_on_node
from .preview import Previewer, tile
from .record import Run, how_to_reproduce
from .resident_models import load_together, models_kept
from .rows import conditioning_lists
from .schedule import Schedule, noise_progress

REMEMBERED_RUNS = 8
# Two noisy latents that differ by less than this share of their size are the same but for rounding.
SAME = 1e-3


class GroupSampler(Sampler):
    """A comfy Sampler around any other: takes noise for one latent (or B), returns the K jointly best, best first.

    Candidate i is what `sampler` alone gives with seed + i and batch size 1. starting_candidates: M, replaced by B when
    the latent has B > 1 rows. pruning_ratio, start_percent: see Schedule. objective: see choose.Objective. vae: for the
    pictures that are scored. batch_index: that of the incoming latent, for a node that knows it. ends_with_batch: pass
    the K final x0 to the callback instead of a picture of them all, for SamplerCustomAdvanced's second output.
    Raises ValueError for what cannot work, before the model is called.
    """

    def __init__(
        self,
        sampler,
        starting_candidates,
        output_group_size,
        pruning_ratio,
        objective,
        vae=None,
        start_percent=0.0,
        batch_index=None,
        ends_with_batch=True,
    ):
        if isinstance(sampler, GroupSampler):
            raise ValueError("A group sampler cannot run inside another one: connect an ordinary SAMPLER.")
        if not isinstance(sampler, Sampler):
            raise ValueError(
                f"sampler is a {type(sampler).__name__}, not a SAMPLER: connect KSamplerSelect or another node that makes samplers."
            )
        check_whole_numbers(starting_candidates=starting_candidates, output_group_size=output_group_size)
        check_numbers(pruning_ratio=pruning_ratio, start_percent=start_percent)
        self.sampler = sampler
        self.starting_candidates = starting_candidates
        self.pruning = output_group_size, pruning_ratio, start_percent
        self.objective = objective
        self.vae = vae
        self.batch_index = batch_index
        self.ends_with_batch = ends_with_batch
        self.runs = deque(maxlen=REMEMBERED_RUNS)

    def schedule(self, rows):
        """The Schedule for a latent of so many rows. Raises ValueError for none, for sizes that do not fit and for nothing to score with."""
        if rows == 0:
            raise ValueError("The latent is an empty batch: it needs at least one row.")
        schedule = Schedule(rows if rows > 1 else self.starting_candidates, *self.pruning)
        if schedule.start > schedule.end and not self.objective.scorers:
            raise ValueError(
                "Nothing is connected to score with: connect a UnaryScorer or a PairwiseScorer, or start just output_group_size candidates."
            )
        return schedule

    def sample(self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False, **kwargs):
        return _GroupRun(self, model_wrap, sigmas, extra_args, callback).sample(noise, latent_image, denoise_mask, disable_pbar, kwargs)

    @property
    def last_run(self):
        return self.runs[-1][0]

    def run_of(self, samples):
        """The record of the run that produced these latents [K, ...]. Raises ValueError if it was none of the last."""
        for run, fingerprint in reversed(self.runs):
            if samples.shape[0] == len(run.seeds) and torch.allclose(_fingerprint(samples), fingerprint, rtol=2e-2, atol=1e-3):
                return run
        raise ValueError(
            "This latent did not come from a sampling node that uses this sampler: connect that node's first output and the SAMPLER it got."
        )


class _GroupRun:
    def __init__(self, group, guider, sigmas, extra_args, callback):
        self.group, self.guider, self.sigmas, self.extra_args, self.callback = group, guider, sigmas, extra_args, callback
        self.steps = len(sigmas) - 1
        self.step = -1

    def sample(self, noise, latent_image, denoise_mask, disable_pbar, sampler_kwargs):
        group, guider = self.group, self.guider
        self.shapes = _latent_shapes(guider, latent_image)
        check_model(guider.model_patcher)
        if len(self.shapes) == 1:
            check_shape(latent_image, guider.model_patcher.get_model_object("latent_format"))
        self.schedule = group.schedule(latent_image.shape[0])
        count = self.schedule.start
        refuse_caches(guider)
        refuse_memory(guider)
        seed = self.extra_args["seed"] or 0
        schedule = {"starting_candidates": count, "output_group_size": self.schedule.end, "pruning_ratio": self.schedule.pruning_ratio}
        schedule |= {"start_percent": self.schedule.start_percent, "steps": self.steps}
        self.run = Run({"seed": seed, **schedule, **group.objective.settings()})
        self.run.reproduce = how_to_reproduce(seed, latent_image.shape[0], not noise.any())
        self.previewer, self.left_out, self.told_apart = None, set(), False
        if count > 1 and group.objective.scorers:
            self.prepare_selections(latent_image)
        self.warn_of_rows(latent_image.shape[0], denoise_mask)

        def rewrapped(noise, seed):
            return _as_the_sampler_gets_it(noise, guider, self.sigmas, {**self.extra_args, "seed": seed}, latent_image[:1])

        candidates = make_candidates(count, seed, noise, latent_image, denoise_mask, self.shapes, group.batch_index, rewrapped)
        trajectories = [Trajectory(c, group.sampler, guider, self.sigmas, self.extra_args, sampler_kwargs) for c in candidates]
        self.hub = Hub(guider, trajectories, self.extra_args["model_options"], self.shapes, self.warn, group.objective.needs_guidance)
        del candidates, trajectories  # the hub alone holds them, so that pruned ones are let go
        for name in mixing(guider):
            self.hub.one_at_a_time(f"{name} does not keep the images of a batch apart")
        with tqdm(total=self.steps, disable=disable_pbar) as self.bar:
            finished = self.hub.run(self.after_step)
        finished = self.whole(finished, [t.result for t in finished], "result")
        # Who is left is still to be chosen after a sampler without a last callback, dpm_adaptive for one, and to be put in order where
        # nobody had to leave.
        unordered = group.objective.scorers and not self.run.rounds and len(finished) > 1
        if len(finished) > self.schedule.end or unordered:
            finished = self.select(finished, min(len(finished), self.schedule.end), progress=1.0)
        if len(finished) < self.schedule.end:
            self.warn(
                f"Only {len(finished)} of {self.schedule.end} results are left: the other candidates were dropped, for the reasons above."
            )
        if group.ends_with_batch:
            self.tell(finished, torch.cat([t.x0 for t in finished]))
        samples = torch.cat([t.result for t in finished])
        self.run.seeds = [t.candidate.seed for t in finished]
        self.run.model_rows, self.run.check_rows = self.hub.model_rows, self.hub.check_rows
        self.run.seconds["model"] = self.hub.model_seconds
        show_on_node(self.run.warnings)
        group.runs.append((self.run, _fingerprint(guider.inner_model.process_latent_out(samples.float()))))
        return samples

    def warn_of_rows(self, rows, denoise_mask):
        """What cannot go with each candidate."""
        conds = [c for _, _, entries in conditioning_lists(self.guider) for c in entries]
        prompts = max((len(c["cross_attn"]) for c in conds if c.get("cross_attn") is not None), default=1)
        if prompts > 1 and rows == 1:
            self.warn(
                f"The conditioning holds {prompts} prompts but the latent has one row: every candidate uses the first prompt, as it would alone. For a prompt each, connect a latent batch of {prompts} (Repeat Latent Batch)."
            )
        if (
            self.group.ends_with_batch
            and denoise_mask is not None
            and not torch.equal(denoise_mask, denoise_mask[:1].expand_as(denoise_mask))
        ):
            self.warn(
                "Each row of the latent has its own mask, and the sampling node's LATENT still carries them in the rows' order, not in the group's: to sample on, take the LATENT of Group Report."
            )

    def prepare_selections(self, latent_image):
        """What selections need, before any step is done: a previewer, models in memory, and scorers that work."""
        objective, vae = self.group.objective, self.group.vae
        patchers = objective.patchers
        if objective.needs_images:
            self.previewer = Previewer(self.guider.model_patcher, vae)
            if self.previewer.warning:
                self.warn(self.previewer.warning)
            patchers += [vae.patcher] if vae is not None else []
        if patchers and not load_together(patchers):
            self.warn("The model, the VAE and the scorers do not fit into memory together and take turns: every selection loads them anew.")
        with models_kept():
            objective.try_out(self.first_tensor(latent_image[:1]).cpu())

    def after_step(self, living):
        """Prune, report progress; returns the trajectories that go on, best first once there was a selection."""
        self.step = max(t.last.step for t in living if t.last)
        self.refuse_copies(living)
        if len(living) > self.schedule.end:
            living = self.whole(living, [t.x0 for t in living], "x0")
            progress = self.progress()
            n = max(self.schedule.survivors(len(living), self.step, self.steps), self.kept_for_later_scorers(len(living), progress))
            if n < len(living):
                living = self.select(living, n, progress)
        self.bar.update(max(0, min(self.step + 1, self.steps) - self.bar.n))
        self.tell(living, self.as_one_picture(living))
        return living

    def refuse_copies(self, living):
        """Raise ValueError where seeds turn out to make no difference. A sampler that adds noise tells them apart in its second step."""
        if self.told_apart or len(living) < 2 or not all(t.last for t in living):
            return
        first, *others = (t.last for t in living)
        same_latent = lambda other: (other.x - first.x).norm() <= SAME * first.x.norm()
        self.told_apart = not (all(map(same_latent, others)) or all(torch.equal(other.x0, first.x0) for other in others))
        if not self.told_apart and self.step >= min(1, self.steps - 1):
            raise ValueError(
                "All candidates are the same, so there is nothing to choose from. Give them noise of their own: RandomNoise instead of DisableNoise, a latent batch with a row for each candidate, or a mask that leaves something to sample."
            )

    def progress(self):
        """Share of the noise that is gone; 1 after the last step, which is the best look that there will be."""
        if self.step >= self.steps - 1:
            return 1.0
        return noise_progress(self.guider.model_patcher.get_model_object("model_sampling"), float(self.sigmas[self.step + 1]))

    def kept_for_later_scorers(self, count, progress):
        """How many of `count` candidates have to live on, so that scorers which cannot judge yet have a choice when they can."""
        enough = self.group.objective.enough(count, self.schedule.end, progress)
        for scorer in self.group.objective.early(progress):
            if scorer.name not in self.left_out:
                self.left_out.add(scorer.name)
                self.warn(
                    f"The scorer {scorer.name} is not asked before {scorer.min_progress:.0%} of the noise is gone, since its scores say little earlier: until then {enough} candidates are kept."
                )
        return enough

    def whole(self, trajectories, latents, what):
        """Those whose latents are finite. Raises ValueError if none are."""
        finite = torch.isfinite(torch.cat(latents).flatten(1)).all(1).tolist()
        self.report_broken([t for t, ok in zip(trajectories, finite, strict=True) if not ok], what)
        if not any(finite):
            raise ValueError("All candidates became NaN while sampling: the model does not work at this precision or with these settings.")
        return [t for t, ok in zip(trajectories, finite, strict=True) if ok]

    def report_broken(self, broken, what):
        for t in broken:
            self.warn(f"The candidate with seed {t.candidate.seed} was dropped at step {self.step + 1}: its {what} is not finite.")

    def select(self, living, n, progress):
        started = time.perf_counter()
        x0 = torch.cat([t.x0 for t in living])
        sigma = float(self.sigmas[min(max(self.step, 0), self.steps)])
        with models_kept():
            pictures = self.previewer(self.first_tensor(x0)) if self.previewer else None
            previewed = time.perf_counter() - started
            guidance = torch.tensor([t.guidance for t in living]) if self.group.objective.needs_guidance else None
            pool = Pool(pictures, self.first_tensor(x0), progress, sigma, guidance)
            choice = choose(pool, self.group.objective, n)
        self.report_broken([t for t, ok in zip(living, choice.finite, strict=True) if not ok], "score")
        if n == self.schedule.end:  # who is left gets another chance before
            for sentence in choice.unmet:
                self.warn(sentence)
        seconds = {"model": self.hub.model_seconds - self.run.seconds["model"], "preview": previewed}
        self.run.rounds.append(choice.as_round(self.step, sigma, [t.candidate.seed for t in living], seconds))
        for part, value in self.run.rounds[-1].seconds.items():
            self.run.seconds[part] += value
        return [living[i] for i in choice.chosen]

    def first_tensor(self, x0):
        """The picture part of a latent that the host has packed from several tensors."""
        if len(self.shapes) == 1:
            return x0
        shape = self.shapes[0][1:]
        return x0.flatten(1)[:, : shape.numel()].reshape(-1, *shape)

    def as_one_picture(self, living):
        x0 = torch.cat([t.x0 for t in living])
        return tile(x0) if len(self.shapes) == 1 else x0[:1]

    def tell(self, living, x0):
        """The host's callback: progress, interrupt, and a live preview of whatever x0 is."""
        if self.callback is not None:
            self.callback(min(self.step, self.steps - 1), x0, living[0].last.x if living[0].last else x0, self.steps)

    def warn(self, text):
        logging.warning(text)
        self.run.warnings.append(text)


def _latent_shapes(guider, latent_image):
    """Shapes of the latent's tensors; several if the host packed a nested latent, which its models note in the conditioning."""
    for entries in guider.conds.values():
        for cond in entries:
            noted = cond["model_conds"].get("latent_shapes")
            if noted is not None and len(noted.cond) > 1:
                return [torch.Size(s) for s in noted.cond]
    return [latent_image.shape]


def _as_the_sampler_gets_it(noise, guider, sigmas, extra_args, latent_image):
    """Noise of a run as the model's wrappers of samplers change it; context windows shuffle it over time (FreeNoise)."""
    wrappers, taken = get_all_wrappers(WrappersMP.SAMPLER_SAMPLE, extra_args["model_options"], is_model_options=True), [noise]

    def sample(guider, sigmas, extra_args, callback, noise, *_, **__):
        taken.append(noise)
        return noise

    executor = WrapperExecutor.new_executor(sample, wrappers)
    executor.execute(guider, sigmas, extra_args, None, noise.clone(), latent_image, None, True)
    return taken[-1]


def _fingerprint(samples):
    """Few numbers [K, ...] by which latents are known again, nested ones (as the host packs them) too."""
    flat = torch.cat([part.reshape(part.shape[0], -1).float().cpu() for part in (samples.unbind() if samples.is_nested else [samples])], 1)
    return flat[:, :: max(1, flat.shape[1] // 16)]
