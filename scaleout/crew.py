"""The hub of a group that several processes sample: this one and workers. It leads them step by step, and finishes what they lose."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ..sampling.notices import show_on_node
from .blocks import BlockHub, Part, joined, part_of, trajectories
from .remote import Remote
from .upstream import difference, digests, upstream


@dataclass
class Site:
    """A worker in this sampling context. blocks: [(block, its candidates, each a seed and its row of the latent)]; orders: whom it was told
    to keep, and how many rows a call may have, for each step: whoever repeats them comes to the same candidates, bit for bit; did: for
    the report."""

    worker: object
    blocks: list
    orders: list = field(default_factory=list)
    did: dict = field(default_factory=dict)

    @property
    def grown(self):
        """All its candidates."""
        return [own for _, block in self.blocks for own in block]


class Crew:
    """Those who sample in one sampling context, which may see several runs, one after each change at a pause. start: called for workers
    that run, when they are needed. sites: of those that are not lost; did: what each worker did."""

    def __init__(self, ground, block_size, start: Callable):
        self.ground, self.block_size, self.start = ground, block_size, start
        self.prompt, self.node = upstream()
        self.id, self.own, self.begun, self.runs = uuid.uuid4().hex, digests(ground), False, 0
        self.sites, self.did = [], []

    def hub(self, *arguments):
        return CrewHub(self, *arguments)

    def begin(self, blocks, looks):
        """Share blocks, as a Site has them, among this process, which takes the first, and the workers: ([Site], [(Site, why it is lost)],
        the largest call that all have memory for). looks: whether anybody will be looked at."""
        self.begun, workers = True, self.start()
        shares = [blocks[i :: len(workers) + 1] for i in range(1, len(workers) + 1)]
        sites = [Site(worker, share) for worker, share in zip(workers, shares, strict=True) if share]
        job = {"id": self.id, "block_size": self.block_size, "looks": looks}
        if sites:
            show_on_node(["Workers load what leads to this node."])
        # From here on they wait for orders, and have to hear if none come.
        self.sites = list(sites)
        for site in sites:
            site.worker.begin(self.prompt, self.node, {**job, "blocks": site.blocks})
        lost, most_rows = [], self.block_size
        for site in sites:
            answer = site.worker.answer()
            if "error" not in answer and (what := difference(self.own, answer["digests"], self.prompt, self.node)):
                answer = {"error": f"what leads to the sampler is not the same there: {what}"}
            if "error" in answer:
                lost.append((site, answer["error"]))
            else:
                site.worker.received = 0
                site.did |= {"worker": site.worker.name, "candidates": len(site.grown)}
                self.did.append(site.did)
                most_rows = min(most_rows, answer["most_rows"])
        there = [site for site in sites if not any(site is one for one, _ in lost)]
        return there, lost, most_rows

    def dismiss(self):
        """Workers stay, warm, for the next run."""
        for site in self.sites:
            site.did["bytes_received"] = site.worker.received
            site.worker.end()


class CrewHub(BlockHub):
    """living: Trajectories, which are sampled here, and Remotes."""

    def __init__(self, crew, ground, candidates, trajectories, warn, objective, eyes):
        self.crew, self.ground = crew, ground
        # Whoever repeats what a lost worker did needs all that shared its calls, those of runs before too.
        here = {c.seed for c in candidates}
        before = ground.candidates([own for site in crew.sites for own in site.grown if own[0] not in here])
        super().__init__(ground, [*candidates, *before], trajectories, warn, objective, eyes)
        self.workers = crew.did
        size, self.most_rows = crew.block_size, min(crew.block_size, self.most_rows)
        fresh = [t for t in trajectories if t.block is None]
        blocks = [fresh[i : i + size] for i in range(0, len(fresh), size)]
        for number, block in enumerate(blocks):
            for t in block:
                t.block = crew.runs, number
        crew.runs += 1
        # What earlier runs have left is here, and takes little.
        unknown = [block for block in blocks if not any(t.known.steps for t in block)]
        if unknown and not crew.begun:
            self.most_rows = min(self.most_rows, self.fits(size))
            self._share([(block[0].block, [(t.candidate.seed, t.candidate.row) for t in block]) for block in unknown])

    def _share(self, blocks):
        sites, lost, most_rows = self.crew.begin(blocks, self.eyes is not None)
        self.most_rows = min(self.most_rows, most_rows)
        for site, why in lost:
            self._say_lost(site, why)
        there = {seed: site for site in sites for seed, _ in site.grown}
        for t in self.living:
            if t.candidate.seed in there:
                t.stop()
        self.living = [Remote(t, there[t.candidate.seed]) if t.candidate.seed in there else t for t in self.living]

    def advance(self):
        before, started, asked = self.model_seconds, time.perf_counter(), []
        for site, theirs in self._theirs(t for t in self.living if not t.over):
            # All that a worker has left are at the same step.
            if not all([t.remember() for t in theirs]):
                site.orders.append(([t.candidate.seed for t in theirs], self.most_rows))
                site.worker.order("step", kept=site.orders[-1][0], most_rows=self.most_rows)
                asked.append((site, theirs))
        own = [t for t in self.living if not (isinstance(t, Remote) and t.site)]
        self.step([t.local if isinstance(t, Remote) else t for t in own])
        for t in own:
            if isinstance(t, Remote):
                t.follow()
        for site, theirs in asked:
            if answer := self._answer_of(site):
                for t in theirs:
                    t.hear(answer["told"][t.candidate.seed])
                self.most_rows = min(self.most_rows, answer["most_rows"])
                self.model_rows += answer["model_rows"]
                self.check_rows += answer["check_rows"]
                site.did["model_rows"] = site.did.get("model_rows", 0) + answer["model_rows"]
                site.did["model_seconds"] = answer["model_seconds"]
                for sentence in answer["warnings"]:
                    self.warn(sentence)
        self.model_seconds = before + time.perf_counter() - started
        return any(not t.over for t in self.living)

    def see(self, living):
        asked = self._theirs(t for t in living if t.x0 is None)
        for site, theirs in asked:
            site.worker.order("x0", seeds=[t.candidate.seed for t in theirs])
        for site, theirs in asked:
            if answer := self._answer_of(site):
                for t, x0 in zip(theirs, answer["x0"], strict=True):
                    t.see(x0)

    def look(self, living, scorers, moment):
        if not any(s.needs_images for s in scorers):
            return super().look(living, scorers, moment)
        places = [place for place, own in enumerate(self.eyes.objective.scorers) if any(own is s for s in scorers)]
        blocks = {}
        for t in living:
            blocks.setdefault(t.block, []).append(t)
        # A worker looks at where its candidates are; what is remembered of them is here.
        asked = self._theirs(t for t in living if len(t.steps) == t.reached)
        asked = [(site, list(dict.fromkeys(t.block for t in theirs))) for site, theirs in asked]
        for site, names in asked:
            seeds = [[t.candidate.seed for t in blocks[name]] for name in names]
            site.worker.order("look", blocks=seeds, places=places, moment=tuple(moment))
        here = lambda name: part_of(self.eyes, blocks[name], places, moment)
        remote = {name for _, names in asked for name in names}
        parts = {name: here(name) for name in blocks if name not in remote}
        for site, names in asked:
            answer = self._answer_of(site)
            parts |= {name: Part(*answer["parts"][i]) if answer else here(name) for i, name in enumerate(names)}
        return joined(self.eyes, living, list(blocks.values()), [parts[name] for name in blocks], moment)

    def _theirs(self, trajectories):
        """[(Site, those of these that it has)]."""
        found = {}
        for t in trajectories:
            if isinstance(t, Remote) and t.site:
                found.setdefault(id(t.site), (t.site, []))[1].append(t)
        return list(found.values())

    def _answer_of(self, site):
        """What a worker answers; None of one that is lost, whose candidates are here then, as far as they were ordered to go."""
        answer = site.worker.answer()
        if "error" not in answer:
            return answer
        self._say_lost(site, answer["error"])
        self._repeat(site)
        return None

    def _say_lost(self, site, why):
        self.warn(f"{site.worker.name} is lost: {why}. Its candidates go on here, which takes longer.")
        site.worker.end()
        self.crew.sites = [one for one in self.crew.sites if one is not site]

    def _repeat(self, site):
        """Sample what a lost worker had, by the same orders."""
        made = {t.candidate.seed: t for t in trajectories(self.ground, site.blocks)}
        agreed = self.most_rows
        for kept, most_rows in site.orders:
            self.most_rows, going = most_rows, [made[seed] for seed in kept]
            for t in set(made.values()) - set(going):
                t.stop()
            self.step([t for t in going if not t.failure])
        self.most_rows = min(agreed, self.most_rows)
        for t in self.living:
            if isinstance(t, Remote) and t.site is site:
                t.come_here(made[t.candidate.seed])
