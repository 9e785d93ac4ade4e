"""The group loop: candidates run, are looked at after each step, and the jointly best subset goes on."""

import logging
import time
from collections import deque

import torch
from comfy.samplers import Sampler
from tqdm.auto import tqdm

from ..scorers.pool import Pool
from .candidates import make_candidates
from .choose import choose
from .coupling import mixing, refuse_caches, refuse_memory
from .hub import Hub, Trajectory
from .preview import Previewer, tile
from .record import Run
from .resident_models import load_together, models_kept
from .schedule import Schedule

REMEMBERED_RUNS = 8


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
        self.sampler = sampler
        self.starting_candidates = starting_candidates
        self.pruning = output_group_size, pruning_ratio, start_percent
        self.objective = objective
        self.vae = vae
        self.batch_index = batch_index
        self.ends_with_batch = ends_with_batch
        self.runs = deque(maxlen=REMEMBERED_RUNS)

    def schedule(self, rows):
        """The Schedule for a latent of so many rows. Raises ValueError for sizes that do not fit and for nothing to score with."""
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
        self.schedule = group.schedule(latent_image.shape[0])
        count = self.schedule.start
        refuse_caches(guider)
        refuse_memory(guider)
        seed = self.extra_args["seed"] or 0
        schedule = {"starting_candidates": count, "output_group_size": self.schedule.end, "pruning_ratio": self.schedule.pruning_ratio}
        schedule |= {"start_percent": self.schedule.start_percent, "steps": self.steps}
        self.run = Run({"seed": seed, **schedule, **group.objective.settings()})
        self.previewer, self.left_out = None, set()
        if count > self.schedule.end:
            self.prepare_selections(latent_image)
        prompts = max((len(c["cross_attn"]) for entries in guider.conds.values() for c in entries if "cross_attn" in c), default=1)
        if prompts > 1 and latent_image.shape[0] == 1:
            self.warn(
                f"The conditioning holds {prompts} prompts but the latent has one row: every candidate uses the first prompt, as it would alone. For a prompt each, connect a latent batch of {prompts} (Repeat Latent Batch)."
            )
        candidates = make_candidates(count, seed, noise, latent_image, denoise_mask, self.shapes, group.batch_index)
        trajectories = [Trajectory(c, group.sampler, guider, self.sigmas, self.extra_args, sampler_kwargs) for c in candidates]
        self.hub = Hub(guider, trajectories, self.extra_args["model_options"], self.shapes, group.objective.needs_guidance)
        del candidates, trajectories  # the hub alone holds them, so that pruned ones are let go
        for name in mixing(guider):
            self.hub.most_rows = 1
            self.warn(f"{name} does not keep the images of a batch apart: candidates are evaluated one at a time, as each would be alone.")
        with tqdm(total=self.steps, disable=disable_pbar) as self.bar:
            finished = self.hub.run(self.after_step)
            if len(finished) > self.schedule.end:  # a sampler without a last callback, dpm_adaptive for one
                finished = self.select(finished, self.schedule.end, progress=1.0)
        finished = self.whole(finished, [t.result for t in finished], "result")
        if group.ends_with_batch:
            self.tell(finished, torch.cat([t.x0 for t in finished]))
        samples = torch.cat([t.result for t in finished])
        self.run.seeds = [t.candidate.seed for t in finished]
        self.run.model_rows = self.hub.model_rows
        self.run.seconds["model"] = self.hub.model_seconds
        self.run.warnings += self.hub.warnings
        group.runs.append((self.run, _fingerprint(guider.inner_model.process_latent_out(samples.float()))))
        return samples

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
        if len(living) > self.schedule.end:
            living = self.whole(living, [t.x0 for t in living], "x0")
            n, progress = self.schedule.survivors(len(living), self.step, self.steps), min(1.0, (self.step + 1) / self.steps)
            if n < len(living) and self.can_judge(progress):
                living = self.select(living, n, progress)
        self.bar.update(max(0, min(self.step + 1, self.steps) - self.bar.n))
        self.tell(living, self.as_one_picture(living))
        return living

    def can_judge(self, progress):
        """False if no scorer can be trusted yet. Notes those that cannot, once."""
        early = self.group.objective.early(progress)
        for scorer in early:
            if scorer.name not in self.left_out:
                self.left_out.add(scorer.name)
                self.warn(
                    f"The scorer {scorer.name} was left out before {scorer.min_progress:.0%} of the steps were done: its scores cannot be trusted earlier."
                )
        return len(early) < len(self.group.objective.scorers)

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


def _fingerprint(samples):
    """Few numbers [K, ...] by which latents are known again, nested ones (as the host packs them) too."""
    flat = torch.cat([part.reshape(part.shape[0], -1).float().cpu() for part in (samples.unbind() if samples.is_nested else [samples])], 1)
    return flat[:, :: max(1, flat.shape[1] // 16)]
