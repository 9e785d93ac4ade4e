"""In a worker: what a group sampler does there instead of choosing. The channel to whoever chooses is put here by the actor."""

from contextlib import contextmanager

import comfy.model_management
import torch

from ..sampling.look import Eyes, Moment
from ..sampling.resident_models import load_together, models_kept
from .blocks import BlockHub, part_of, trajectories
from .upstream import digests

channel = None


class Serving:
    """In the place of Workers."""

    @contextmanager
    def engaged(self, group, ground):
        run = ServedRun(group, ground, channel)
        channel.answers.put({"digests": digests(ground), "most_rows": run.hub.fits(channel.job["block_size"])})
        with torch.no_grad():
            try:
                while (order := channel.orders.get()) is not None:
                    name, what = order
                    answer = getattr(run, name)(**what)
                    channel.answers.put(answer)
            finally:
                run.hub.keep([])
                channel.hub = None
        # The rest of the graph is not for this process.
        raise comfy.model_management.InterruptProcessingException()
        yield  # never: no hub is asked for here


class ServedRun:
    """The candidates that a job gave to this worker. Its methods are the orders."""

    def __init__(self, group, ground, channel):
        job, self.channel, self.warnings = channel.job, channel, []
        eyes = Eyes(ground, group.objective, group.vae) if job["looks"] else None
        if eyes:
            load_together(eyes.patchers)
        theirs = trajectories(ground, job["blocks"])
        self.hub = BlockHub(ground, [t.candidate for t in theirs], theirs, self.warnings.append, group.objective, eyes)
        channel.hub = self.hub

    def step(self, kept, most_rows):
        """One step of those that are kept, in this order."""
        hub = self.hub
        hub.keep(self._named(kept))
        hub.most_rows = most_rows
        hub.advance()
        told = {t.candidate.seed: self._told(t) for t in hub.living}
        hub.living = [t for t in hub.living if not t.failure]
        answer = {"told": told, "warnings": list(self.warnings)}
        answer |= {name: getattr(hub, name) for name in ("most_rows", "model_rows", "check_rows", "model_seconds")}
        # Since the last step.
        self.warnings.clear()
        hub.model_rows = hub.check_rows = 0
        return answer

    def x0(self, seeds):
        return {"x0": [t.x0.cpu() for t in self._named(seeds)]}

    def look(self, blocks, places, moment):
        """What makes a Part for each of these blocks of seeds, see blocks.py: on another machine this pack is not in the same folder, so its
        types do not travel."""
        parts = []
        with models_kept():
            for seeds in blocks:
                parts.append(tuple(part_of(self.hub.eyes, self._named(seeds), places, Moment(*moment))))
                self.channel.looked += 1
        return {"parts": parts}

    def _named(self, seeds):
        living = {t.candidate.seed: t for t in self.hub.living}
        return [living[seed] for seed in seeds]

    def _told(self, t):
        """What others need to know of a candidate."""
        own = {"steps": list(t.steps), "guidance": t.guidance, "guidance_after": list(t.guidance_after)}
        if t.failure:
            return {**own, "failure": str(t.failure)}
        return {**own, "result": t.result.cpu(), "x0": t.x0.cpu()} if t.over else own
