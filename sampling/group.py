"""A sampler around any other: from one latent the jointly best group, wherever the host takes a SAMPLER."""

from collections import deque

import torch
from comfy.samplers import Sampler

from .inputs import check_numbers, check_whole_numbers
from .notices import show_on_node
from .plan import first_step, paper_plan
from .run import GroupRun

REMEMBERED_RUNS = 8


class GroupSampler(Sampler):
    """A comfy Sampler around any other: takes noise for one latent (or B), returns the K jointly best, best first.

    Candidate i is what `sampler` alone gives with seed + i and batch size 1. starting_candidates: M, replaced by B when
    the latent has B > 1 rows. pruning_ratio, start_percent: see paper_plan. objective: see choose.Objective. vae: for the
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
        self.output_group_size, self.pruning_ratio, self.start_percent = output_group_size, pruning_ratio, start_percent
        self.objective = objective
        self.vae = vae
        self.batch_index = batch_index
        self.ends_with_batch = ends_with_batch
        self.runs = deque(maxlen=REMEMBERED_RUNS)

    def plan(self, rows, sigmas, model_sampling):
        """The Plan for a latent of so many rows and noise levels. Raises ValueError for no rows, for sizes that do not fit and for nothing
        to score with."""
        if rows == 0:
            raise ValueError("The latent is an empty batch: it needs at least one row.")
        steps = len(sigmas) - 1
        asked = [first_step(sigmas, model_sampling, getattr(scorer, "min_progress", 0.0)) for scorer in self.objective.scorers] or [0]
        start = rows if rows > 1 else self.starting_candidates
        plan = paper_plan(start, self.output_group_size, steps, self.pruning_ratio, self.start_percent, min(asked), max(asked))
        if plan.looks and not self.objective.scorers:
            raise ValueError(
                "Nothing is connected to score with: connect a UnaryScorer or a PairwiseScorer, or start just output_group_size candidates."
            )
        return plan

    def sample(self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False, **kwargs):
        run = GroupRun(self, model_wrap, sigmas, extra_args, callback)
        samples = run.sample(noise, latent_image, denoise_mask, disable_pbar, kwargs)
        show_on_node(run.record.warnings)
        self.runs.append((run.record, _fingerprint(model_wrap.inner_model.process_latent_out(samples.float()))))
        return samples

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


def _fingerprint(samples):
    """Few numbers [K, ...] by which latents are known again, nested ones (as the host packs them) too."""
    flat = torch.cat([part.reshape(part.shape[0], -1).float().cpu() for part in (samples.unbind() if samples.is_nested else [samples])], 1)
    return flat[:, :: max(1, flat.shape[1] // 16)]
