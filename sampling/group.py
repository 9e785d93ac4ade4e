"""A sampler around any other: from one latent the jointly best group, wherever the host takes a SAMPLER."""

from collections import deque
from contextlib import contextmanager
from copy import copy
from dataclasses import replace

import torch
from comfy.samplers import Sampler

from . import trajectory
from .candidates import SEEDS
from .ground import Ground
from .hub import Hub
from .notices import show_on_node
from .pause import Answer, Changed, Pause
from .run import GroupRun
from .seeds import Members
from .summary import summary

REMEMBERED_RUNS = 8


def unwatched(record, pool, asked=None, over=False):
    """For runs that nobody looks at."""


class Alone:
    """This process samples all."""

    @contextmanager
    def engaged(self, group, ground):
        yield Hub


class GroupSampler(Sampler):
    """A comfy Sampler around any other: takes noise for one latent (or B), returns the K jointly best, best first.

    Candidate i is what `sampler` alone gives with seed + i and batch size 1. schedule: see schedule.Schedule; a latent of B > 1 rows
    starts B candidates. objective: see choose.Objective. members: see seeds.Members. vae: for the pictures that are scored.
    batch_index: that of the incoming latent, for a node that knows it. ends_with_batch: pass the K final x0 to the callback instead of
    a picture of them all, for SamplerCustomAdvanced's second output. watch: called with a run's record and kept pool when it begins,
    after each selection with what was asked too, and with over=True at its end, see board/watched.py. pause: see pause.Pause. workers: who
    samples, see scaleout/workers.py.
    Raises ValueError for what cannot work, before the model is called.
    """

    def __init__(
        self, sampler, schedule, objective, members=None, vae=None, batch_index=None, ends_with_batch=True, watch=unwatched, pause=None,
        workers=None,
    ):  # fmt: skip
        if isinstance(sampler, GroupSampler):
            raise ValueError("A group sampler cannot run inside another one: connect an ordinary SAMPLER.")
        if not isinstance(sampler, Sampler):
            raise ValueError(
                f"sampler is a {type(sampler).__name__}, not a SAMPLER: connect KSamplerSelect or another node that makes samplers."
            )
        if trajectory.greenlet is None:
            raise RuntimeError(
                "Sampling a group needs the package greenlet, which is not installed: pip install greenlet into ComfyUI's Python and start ComfyUI again."
            )
        self.sampler, self.schedule = sampler, schedule
        self.given, self.connected = objective, bool(objective.scorers)
        # Nothing is connected by most who put this node in the place of another sampler.
        self.objective = objective.or_latents
        self.members, self.vae = members or Members(), vae
        self.batch_index = batch_index
        self.ends_with_batch, self.watch, self.pause = ends_with_batch, watch, pause or Pause()
        self.workers = workers or Alone()
        self.runs = deque(maxlen=REMEMBERED_RUNS)

    def start(self, seed, rows, gone, price=0.0):
        """(the Plan, seeds of the candidates, the pinned ones of these) of a run with this seed on a latent of so many different rows;
        gone: see noise_gone; price: of a look, in model rows. Raises ValueError for no rows, and for sizes and names that do not
        fit."""
        if rows == 0:
            raise ValueError("The latent is an empty batch: it needs at least one row.")
        seeds, pinned, banned = self.members.named(seed, rows)
        following = lambda count: [(seed + i) % SEEDS for i in range(count)]
        given = seeds or following(rows if rows > 1 else 0)
        plan = self.schedule.plan(len(given) or None, gone, self.objective, price)
        out = set(banned)
        starting = [s for s in dict.fromkeys([*(given or following(plan.start)), *pinned]) if s not in out]
        if len(pinned) > plan.end:
            raise ValueError(f"pinned names {len(pinned)} seeds, but output_group_size is {plan.end}: pin fewer, or raise it.")
        if len(starting) < plan.end:
            raise ValueError(
                f"Of {plan.start} candidates {plan.start - len(starting)} are banned, and the other {len(starting)} are fewer than output_group_size ({plan.end}): ban fewer, or lower it."
            )
        return plan.started(len(starting)), starting, pinned

    @property
    def answer(self):
        """What its own inputs say."""
        return Answer(self.members.pinned, self.members.banned, self.given.weight, self.schedule.output_group_size)

    def answered(self, answer):
        """This sampler as if its inputs had said so, and without a pause. answer: see pause.Answer. Raises ValueError for what cannot be."""
        other = copy(self)
        other.given = replace(self.given, weight=answer.lambda_score)
        other.objective, other.pause = other.given.or_latents, Pause()
        other.schedule = replace(self.schedule, output_group_size=answer.output_group_size)
        other.members = Members(self.members.seeds, answer.pinned, answer.banned)
        return other

    def sample(self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False, **kwargs):
        given = noise, latent_image, denoise_mask, self.batch_index, kwargs
        ground = Ground(self.sampler, model_wrap, sigmas, extra_args, *given)
        group, before, samples = self, None, None
        with self.workers.engaged(self, ground) as make_hub:
            while samples is None:
                run = GroupRun(group, ground, make_hub, callback, before)
                try:
                    samples = run.sample(disable_pbar)
                except Changed as changed:
                    group, before = self.answered(changed.answer), changed
                finally:
                    if run.record:
                        self.watch(run.record, run.kept, over=True)
        show_on_node(summary(run.record))
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
