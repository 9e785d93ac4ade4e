"""One stock sampler per candidate, one model for all.

Sampler functions keep x and their history in local variables, so a running batch cannot be shrunk from outside. Each
candidate therefore runs the unmodified sampler in a greenlet of its own, on a batch of one. The model that it is given
only hands its request to the hub and suspends; when every living candidate has asked, the hub evaluates the real model
on all of them at once and resumes each with its part. A finished step suspends in the same way.
"""

import time
from itertools import accumulate, chain

import comfy.model_management
import torch

from .coupling import BatchCheck, mixing
from .notices import in_one_line
from .rows import RowConditioning, rows_that_fit
from .trajectory import ModelCall
from .variants import equal

POST_CFG = "sampler_post_cfg_function"


class Hub:
    """Runs trajectories in step and looks at them; model_rows, check_rows (evaluated a second time, to see that a batch keeps its images
    apart) and model_seconds count what the real model did; workers: what each did, of a hub that has some."""

    def __init__(self, ground, candidates, trajectories, warn, objective, eyes):
        """candidates: all that may ever be in a call; warn: called with a sentence for the user; objective: if it needs it, each
        trajectory's `guidance` is kept; eyes: None where nobody is looked at."""
        self.guider, self.warn, self.watch_guidance = ground.guider, warn, objective.needs_guidance
        self.living, self.eyes = trajectories, eyes
        self.shared_post_cfg = list(ground.extra_args["model_options"].get(POST_CFG, []))
        self.conditioning = RowConditioning(ground.guider, candidates, ground.shapes, ground.seed)
        self.checks = {}
        self.most_rows = len(candidates)
        self.model_rows = self.check_rows = 0
        self.model_seconds = 0.0
        self.workers = []
        for name in mixing(ground.guider):
            self.one_at_a_time(f"{name} does not keep the images of a batch apart")

    def run(self, after_step):
        """Run all to their end. after_step(living) is called whenever every living trajectory has done a step or is
        finished; it returns those that go on. Returns the trajectories that reached the end. One whose sampler fails is dropped, with
        a warning; if all do, the first one's error is raised."""
        # Samplers that are stopped give back the mode in which they began, so the outermost one ends last.
        with torch.no_grad():
            try:
                while self.advance():
                    self.keep(after_step(self._without_failed()))
                return self._without_failed()
            finally:
                self.keep([])

    def advance(self):
        """One step of all that are not over; whether any still is not."""
        self.step(self.living)
        return any(not t.over for t in self.living)

    def step(self, trajectories):
        """The same of some of them."""
        for t in trajectories:
            if not t.over:
                t.resume()
        while asking := [t for t in trajectories if isinstance(t.request, ModelCall)]:
            self._answer(asking)

    def see(self, living):
        """Before these are looked at. Their x0 are here."""

    def look(self, living, scorers, moment):
        """See look.Eyes."""
        return self.eyes.look(living, scorers, moment)

    def keep(self, survivors):
        """Stop all others."""
        for t in set(self.living) - set(survivors):
            t.stop()
        self.living = survivors

    def _without_failed(self):
        """Those that are left. Raises the first one's error if none is."""
        failed = [t for t in self.living if t.failure]
        if failed and len(failed) == len(self.living):
            raise failed[0].failure
        for t in failed:
            self.warn(f"The candidate with seed {t.candidate.seed} was dropped: its sampler failed ({in_one_line(t.failure)}).")
        self.living = [t for t in self.living if not t.failure]
        return self.living

    def _answer(self, asking):
        # Start and end percentages, hooks and many patches read the first row's sigma, so only equal sigmas share a call.
        sigmas = torch.stack([t.request.sigma.flatten()[0] for t in asking]).tolist()
        groups = {}
        for sigma, t in zip(sigmas, asking, strict=True):
            alike = groups.setdefault((t.block, sigma, t.request.x.shape, self.conditioning.of(t.candidate).kind), [])
            members = next((m for m in alike if self._can_share(m[0].request, t.request)), None)
            if members is None:
                alike.append(members := [])
            members.append(t)
        answers = {}
        for members in chain.from_iterable(groups.values()):
            while members:
                entries, shape = self.conditioning.of(members[0].candidate), members[0].request.x.shape
                part = members[: self._rows_that_fit(entries, shape, min(self.most_rows, len(members)))]
                out = self._evaluate(part)
                if out is None:
                    continue
                answers.update(zip(part, out.split([t.request.x.shape[0] for t in part]), strict=True))
                members = members[len(part) :]
        for t in asking:
            t.resume(answers[t])

    def _rows_that_fit(self, entries, shape, wanted):
        return rows_that_fit(self.guider, entries, shape, wanted)

    def _evaluate(self, part):
        """The real model on some requests, or None when fewer rows are to be tried: there was no memory for them, or images of a
        batch turn out to depend on each other."""
        # Only words are kept of an error: the error itself would hold the tensors of the call in memory.
        failure, out_of_memory = None, False
        try:
            out, guidance = self._call(part)
        except Exception as e:  # models and patches raise anything
            if len(part) == 1 or isinstance(e, comfy.model_management.InterruptProcessingException):
                raise
            failure, out_of_memory = in_one_line(e), comfy.model_management.is_oom(e)
        if out_of_memory:
            self.most_rows = (len(part) + 1) // 2
            self.warn(f"Out of memory with {len(part)} candidates in one model call: going on with {self.most_rows}.")
            comfy.model_management.soft_empty_cache()
            return None
        if failure:
            self._call(part[:1])  # raises what is wrong with the request itself
            self.one_at_a_time(f"With several candidates in one call the model fails ({failure})")
            return None
        if len(part) > self._check(part).rows and not self._looks_the_same_alone(part, out):
            self.one_at_a_time("What the model makes of a candidate depends on the others in the call")
            return None
        self.model_rows += sum(t.request.x.shape[0] for t in part)
        if len(part) == 1:
            part[0].candidate.random.save()
        for rows in guidance:
            for t, own in zip(part, rows.split([t.request.x.shape[0] for t in part]), strict=True):
                t.guidance += float(own.mean())
        return out

    def _call(self, part):
        """The real model on some requests: (predictions, one row each; for each guided prediction the guidance of each row)."""
        requests = [t.request for t in part]
        x = torch.cat([r.x for r in requests])
        sigma = torch.cat([r.sigma.flatten() for r in requests])
        options, first = self._shared_options(requests), requests[0]
        candidates = [t.candidate for t in part for _ in range(t.request.x.shape[0])]
        guidance = []

        def watch(args):
            guidance.append(_apart(args))
            return args["denoised"]

        if self.watch_guidance:
            options = {**options, POST_CFG: [*options.get(POST_CFG, []), watch]}
        comfy.model_management.throw_exception_if_processing_interrupted()
        if len(part) == 1:
            # A patch that draws random numbers gets those of the candidate, where there is just one.
            part[0].candidate.random.restore()
        started = time.perf_counter()
        try:
            with self.conditioning(candidates):
                return self.guider(x, sigma, model_options=options, seed=first.seed, **first.kwargs), guidance
        finally:
            self.model_seconds += time.perf_counter() - started

    def _looks_the_same_alone(self, part, out):
        """Evaluate one candidate of a larger call than any before alone as well, and remember where the two agree."""
        # The middle one: patches that go by a row's place often leave the first or the last as it is.
        at = len(part) // 2
        start = sum(t.request.x.shape[0] for t in part[:at])
        alone, _ = self._call(part[at : at + 1])
        self.check_rows += alone.shape[0]
        return self._check(part).agree(part[at].request.x, out[start : start + alone.shape[0]], alone, len(part))

    def _check(self, part):
        """What is known of calls for candidates of this kind."""
        candidate = part[0].candidate
        kind = self.conditioning.of(candidate).kind
        if kind not in self.checks:
            with self.conditioning([candidate]):
                self.checks[kind] = BatchCheck(self.guider)
        return self.checks[kind]

    def one_at_a_time(self, reason):
        self.most_rows = 1
        self.warn(f"{reason}: candidates are evaluated one at a time, as each would be alone.")

    def _can_share(self, a, b):
        """Same options apart from the functions that samplers append for themselves (the cfg_pp family does)."""
        shared = ({**r.options, POST_CFG: r.options.get(POST_CFG, [])[: len(self.shared_post_cfg)]} for r in (a, b))
        return equal(*shared) and equal(a.kwargs, b.kwargs)

    def _shared_options(self, requests):
        options = requests[0].options
        if len(requests) == 1:
            return options
        own = [r.options.get(POST_CFG, [])[len(self.shared_post_cfg) :] for r in requests]
        if not any(own):
            return options
        ends = list(accumulate(r.x.shape[0] for r in requests))

        def each_its_own(args):
            parts = []
            for start, stop, functions in zip([0, *ends], ends, own, strict=False):
                mine = {k: v[start:stop] if torch.is_tensor(v) and v.ndim and v.shape[0] == ends[-1] else v for k, v in args.items()}
                for function in functions:
                    mine["denoised"] = function(mine)
                parts.append(mine["denoised"])
            return torch.cat(parts)

        return {**options, POST_CFG: [*self.shared_post_cfg, each_its_own]}


def _apart(args):
    """[rows]: mean square of the difference that the prompt makes, in units of sigma. Raises ValueError where the host computes
    only the prediction with the prompt."""
    if args["uncond"] is None:
        raise ValueError(
            "The cfg_agreement scorer compares predictions with and without the prompt, and at cfg 1 only one of them is computed: raise cfg, or choose another scorer."
        )
    difference = (args["cond_denoised"] - args["uncond_denoised"]).float().flatten(1)
    return (difference.square().mean(1) / args["sigma"].float().flatten() ** 2).cpu()
