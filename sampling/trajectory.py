"""One candidate on its way: the unmodified sampler in a greenlet of its own, or what is remembered of it."""

import contextvars
from dataclasses import dataclass
from typing import NamedTuple

import comfy.model_management
import torch
from comfy.model_patcher import create_model_options_clone

try:
    from greenlet import GreenletExit, getcurrent, greenlet
except ImportError:  # the pack's other nodes do without; GroupSampler says so
    greenlet = None


@dataclass
class ModelCall:
    x: torch.Tensor
    sigma: torch.Tensor
    options: dict
    seed: int
    kwargs: dict


@dataclass
class StepDone:
    """x0, x: None of a step that is only remembered."""

    step: int
    x0: torch.Tensor | None
    x: torch.Tensor | None


class Known(NamedTuple):
    """Of an earlier run of the same candidate: its steps, its `guidance` after each, and its result if it was finished."""

    steps: list[StepDone] = []
    guidance: list[float] = []
    result: torch.Tensor | None = None


class AskingModel:
    """Stands in for the guider inside a sampler: calling it suspends, everything else is the guider's own."""

    def __init__(self, guider):
        self._guider = guider

    def __getattr__(self, name):
        return getattr(self._guider, name)

    def __call__(self, x, timestep, model_options={}, seed=None, **kwargs):
        return getcurrent().parent.switch(ModelCall(x, timestep, model_options, seed, kwargs))


class Progress:
    """How far a candidate has come, whoever samples it. `result`: its finished latent, [1, ...]; `failure`: what its sampler raised; `block`:
    only who has the same shares model calls with it; `steps`: the numbers of those that it has done, remembered ones too, `last` of
    these, `reached`: how many its sampler has done; `guidance`: how far its predictions with and without the prompt lay apart so far (see
    scorers/cfg_agreement.py), if the hub watches that, `guidance_after` each step. known: what need not be sampled again."""

    def __init__(self, candidate, known):
        self.candidate, self.reached = candidate, 0
        self.block = self.result = self.failure = None
        self.begin(known)

    def begin(self, known):
        """From the first step, also once more: its sampler stays where it is, and goes on when what is known has been told."""
        self.known, self.last, self.steps = known, None, []
        self.guidance, self.guidance_after = 0.0, []

    def remember(self):
        """Go on by a step that is known, if there is one; whether there was."""
        at = len(self.steps)
        if at >= len(self.known.steps):
            return False
        self.guidance = self.known.guidance[at]
        self._done(self.known.steps[at])
        return True

    def _done(self, step):
        self.last = step
        self.steps.append(step.step)
        self.guidance_after.append(self.guidance)

    @property
    def x0(self):
        """The final latent as predicted at the last step done, [1, ...] in the model's space."""
        return self.last.x0 if self.last else self.result

    @property
    def over(self):
        return self.result is not None or self.failure is not None


class Trajectory(Progress):
    """A candidate that is sampled here. `request` is what it waits for."""

    def __init__(self, candidate, sampler, guider, sigmas, extra_args, sampler_kwargs, known):
        super().__init__(candidate, known)
        self.request = None
        own_args = {**extra_args, "model_options": create_model_options_clone(extra_args["model_options"]), "seed": candidate.seed}
        step_done = lambda step, x0, x, total_steps: getcurrent().parent.switch(StepDone(step, x0, x))

        def run():
            own = (candidate.noise, candidate.latent_image, candidate.denoise_mask)
            return sampler.sample(AskingModel(guider), sigmas, own_args, step_done, *own, disable_pbar=True, **sampler_kwargs)

        self.greenlet = greenlet(run)
        # A new greenlet starts with an empty context; the host keeps the running node's id in one.
        self.greenlet.gr_context = contextvars.copy_context()

    def resume(self, *answer):
        if self.remember():
            self.request = self.last
        elif self.known.result is not None:
            self.request, self.result = None, self.known.result
        else:
            self._sample_on(*answer)

    def _sample_on(self, *answer):
        if not answer:
            self.guidance = self.guidance_after[self.reached - 1] if self.reached else 0.0
        self.candidate.random.restore()
        out = None
        try:
            out = self.greenlet.switch(*answer)
            while isinstance(out, StepDone):
                self.reached += 1
                if self.reached > len(self.steps):
                    break
                # What is remembered of a candidate is no state to go on from: it does those steps again, alone.
                out = self.greenlet.switch()
        except Exception as e:  # samplers of all packs raise anything
            if isinstance(e, comfy.model_management.InterruptProcessingException) or comfy.model_management.is_oom(e):
                raise
            self.failure = e
        self.candidate.random.save()
        if self.greenlet.dead:
            self.request, self.result = None, out
        else:
            self.request = out
        if isinstance(out, StepDone):
            self._done(out)

    def stop(self):
        if not self.greenlet.dead:
            self.greenlet.throw(GreenletExit)
