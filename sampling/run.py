"""One run: candidates go step by step, are looked at, and the jointly best subset goes on."""

import logging
import time

import torch
from tqdm.auto import tqdm

from . import remarks
from .candidates import SEEDS
from .choose import choose
from .fingerprint import Fingerprint
from .kept import STORE
from .look import Eyes, Moment
from .notices import show_on_node
from .pause import Changed
from .preview import first_tensor, tile
from .prompt_text import prompt_text, words
from .record import Run, beside_plain, how_to_reproduce
from .resident_models import load_together, models_kept
from .variants import left_out, prompts
from .work import look_price

# Two noisy latents that differ by less than this share of their size are the same but for rounding.
SAME = 1e-3


class GroupRun:
    """A call of a GroupSampler: `sample` returns the K latents, `record` is the Run that it leaves. ground: what the candidates grow from;
    make_hub: as hub.Hub, for who samples them; before: the Changed run that this one follows."""

    def __init__(self, group, ground, make_hub, callback, before=None):
        self.group, self.ground, self.make_hub, self.callback = group, ground, make_hub, callback
        self.before, self.asked = before, group.pause.at == 0
        self.steps = len(ground.sigmas) - 1
        self.step = -1
        self.record = self.kept = self.eyes = self.first_look = None

    def sample(self, disable_pbar):
        group, ground = self.group, self.ground
        self.plan, seeds, self.pinned = self.planned()
        self.text = prompt_text()
        self.kept = self.pool()
        self.record = self.begun(seeds)
        if self.plan.looks or group.connected and self.plan.start > 1:
            self.prepare_selections()
            self.record.decoder = self.eyes.previewer.in_words(ground.shapes[0]) if self.eyes.previewer else ""
            self.say()
        for sentence in remarks.warnings(group, ground):
            self.warn(sentence)
        group.watch(self.record, self.kept)
        self.hub = self.started(seeds)
        with tqdm(total=round(self.plan.work()), disable=disable_pbar, unit="row") as self.bar:
            finished = self.hub.run(self.after_step)
        finished = self.chosen(self.whole(finished, [t.result for t in finished], "result"))
        if group.ends_with_batch:
            self.tell(finished, torch.cat([t.x0 for t in finished]))
        samples = torch.cat([t.result for t in finished])
        self.record.seeds = [t.candidate.seed for t in finished]
        if self.first_look:
            self.record.beside = beside_plain(*self.first_look, self.record.seeds)
        self.record.model_rows, self.record.check_rows = self.hub.model_rows, self.hub.check_rows
        self.record.seconds["model"], self.record.workers = self.hub.model_seconds, self.hub.workers
        return samples

    def begun(self, seeds):
        """The Run before its first step."""
        group, ground, rows = self.group, self.ground, self.ground.rows
        numbers = {own: (own - ground.seed) % SEEDS for own in seeds}
        own = prompts(ground.guider, numbers)
        settings = {"seed": ground.seed, "rows": rows, **group.schedule.settings()}
        settings |= {"starting_candidates": self.plan.start, "steps": self.steps}
        settings |= group.objective.settings() | group.members.settings(ground.seed, rows) | {"prompt": self.text}
        reproduce = how_to_reproduce(ground.seed, rows, ground.silent, bool(own))
        run = Run(settings, self.plan, pool=self.kept.id, prompts=own, reproduce=reproduce)
        run.notes = remarks.notes(group, self.plan, ground) + left_out(ground.guider, numbers)
        if self.before:
            run.changed, run.warnings = self.before.as_data(), list(self.before.warnings)
            run.notes.append(str(self.before))
        return run

    def started(self, seeds):
        """The hub of these candidates, which alone holds them and their trajectories, so that pruned ones are let go."""
        candidates = self.ground.candidates([(own, self.record.row(own)) for own in seeds])
        return self.make_hub(self.ground, candidates, self.trajectories(candidates), self.warn, self.group.objective, self.eyes)

    def trajectories(self, candidates):
        """One for each candidate; those that earlier runs have left know their steps."""
        living = {t.candidate.seed: t for t in self.before.living if not t.over} if self.before else {}
        found = []
        for candidate in candidates:
            known, t = self.kept.known(candidate, self.plan), living.get(candidate.seed)
            if t and t.reached <= len(known.steps):
                t.begin(known)
                found.append(t)
            else:
                found.append(self.ground.trajectory(candidate, known))
        if self.before:
            self.before.let_go(found)
        self.record.known = sum(bool(t.known.steps) for t in found)
        self.told_apart = self.record.known > 0  # by the run that left them
        return found

    def chosen(self, finished):
        """Of the trajectories that are finished the group, best first."""
        for t in finished:
            self.kept.keep(t, result=True)
        STORE.trim()
        if len(finished) > self.plan.end:  # a sampler without a last callback, dpm_adaptive for one
            finished = self.select(finished, self.plan.end, 1.0, self.group.objective)
        elif self.group.connected and not self.record.rounds and len(finished) > 1:
            finished = self.in_order(finished)
        if len(finished) < self.plan.end:
            self.warn(
                f"Only {len(finished)} of {self.plan.end} results are left: the other candidates were dropped, for the reasons above."
            )
        return finished

    def planned(self):
        """What GroupSampler.start says, with looks at the price that they have here."""
        group, ground = self.group, self.ground
        start = group.start(ground.seed, ground.rows, ground.gone)
        if start[0].start == 1:
            return start
        self.eyes = Eyes(ground, group.objective, group.vae)
        price = look_price(ground.guider, ground.shapes[0], self.eyes.previewer, group.objective.scorers)
        return group.start(ground.seed, ground.rows, ground.gone, price)

    def pool(self):
        """What earlier runs of the same candidates left, and this one will."""
        ground = self.ground
        # What the hub watches is kept with each step.
        setup = (*ground.parts, self.group.objective.needs_guidance)
        return STORE.pool(Fingerprint(*setup), ground.latent_format, ground.shapes)

    def say(self, *now):
        """On the node: the plan, how the inputs were taken, and what is going on."""
        show_on_node([f"Plan: {self.plan}", *self.record.notes, *now])

    def prepare_selections(self):
        """What selections need, before any step is done: a previewer, models in memory, and scorers that work."""
        objective, previewer = self.group.objective, self.eyes.previewer
        if previewer and previewer.warning:
            self.warn(previewer.warning)
        if (patchers := self.eyes.patchers) and not load_together(patchers):
            self.warn("The model, the VAE and the scorers do not fit into memory together and take turns: every selection loads them anew.")
        with models_kept():
            trial = self.kept.scores(self.group.vae, "trial", self.text)
            # Of several prompts the shortest is tried.
            texts = self.texts()
            texts = texts and 2 * [min(texts.values(), key=len)]
            x0 = first_tensor(self.ground.latent_image[:1], self.ground.shapes).cpu()
            objective.try_out(x0, trial, text=self.text, texts=texts, to_model=self.ground.latent_format.process_in)

    def after_step(self, living):
        """Prune, report progress; returns the trajectories that go on, best first once there was a selection."""
        self.step = max(t.last.step for t in living if t.last)
        self.refuse_copies(living)
        if len(living) > (n := self.plan.after(self.step)):
            self.hub.see(living)
        # Who is looked at has an x0; of other steps that are remembered, or done elsewhere, there is none.
        if len(living) > self.plan.end and all(t.x0 is not None for t in living):
            living = self.whole(living, [t.x0 for t in living], "x0")
        if len(living) > n:
            for t in living:
                self.kept.keep(t)
            objective = self.group.objective if self.plan.scored(self.step) else self.group.objective.breadth
            living = self.select(living, n, self.ground.gone[min(self.step, self.steps - 1)], objective)
        self.bar.update(max(0, round(self.plan.work(self.step + 1)) - self.bar.n))
        self.tell(living, self.as_one_picture(living))
        return living

    def refuse_copies(self, living):
        """Raise ValueError where seeds turn out to make no difference. A sampler that adds noise tells them apart in its second step."""
        seen = [t.last for t in living if t.last and t.last.x is not None]
        if self.told_apart or len(seen) < 2:
            return
        first, *others = seen
        same_latent = lambda other: (other.x - first.x).norm() <= SAME * first.x.norm()
        self.told_apart = not (all(map(same_latent, others)) or all(torch.equal(other.x0, first.x0) for other in others))
        if not self.told_apart and self.step >= min(1, self.steps - 1):
            raise ValueError(
                "All candidates are the same, so there is nothing to choose from. Give them noise of their own: RandomNoise instead of DisableNoise, a latent batch with a row for each candidate, or a mask that leaves something to sample."
            )

    def whole(self, trajectories, latents, what):
        """Those whose latents are finite. Raises ValueError if none are."""
        finite = torch.isfinite(torch.cat(latents).flatten(1)).all(1).tolist()
        self.report_broken([t for t, ok in zip(trajectories, finite, strict=True) if not ok], what)
        if not any(finite):
            raise ValueError("All candidates became NaN while sampling: the model does not work at this precision or with these settings.")
        return [t for t, ok in zip(trajectories, finite, strict=True) if ok]

    def report_broken(self, broken, what):
        for t in broken:
            self.warn(
                f"The candidate with {self.record.name(t.candidate.seed)} was dropped at step {self.step + 1}: its {what} is not finite."
            )

    def select(self, living, n, progress, objective):
        started = time.perf_counter()
        self.say(f"After step {self.step + 1} of {self.steps}: {'looking at' if objective.needs_images else 'comparing'} {len(living)}.")
        seeds, sigma = [t.candidate.seed for t in living], float(self.ground.sigmas[min(max(self.step, 0), self.steps)])
        known = self.kept.scores(self.group.vae, self.step, tuple(seeds), self.text)
        with models_kept():
            moment = Moment(progress, sigma, self.text, self.texts())
            pool, pictures = self.hub.look(living, known.missing(objective), moment)
            previewed = time.perf_counter() - started
            choice = choose(pool, objective, n, [i for i, seed in enumerate(seeds) if seed in self.pinned], known)
        for t, picture in zip(living, pictures, strict=False):
            self.kept.keep_picture(t, picture)
        if n < len(living):
            self.report_broken([t for t, ok in zip(living, choice.finite, strict=True) if not ok], "score")
        last = n == self.plan.end
        if last:  # who is left gets another chance before
            for sentence in choice.unmet:
                self.warn(sentence)
        seconds = {"model": self.hub.model_seconds - self.record.seconds["model"], "preview": previewed}
        self.record.rounds.append(choice.as_round(self.step, sigma, seeds, seconds))
        self.first_look = self.first_look or (seeds, choice.unary, choice.pairwise)
        for part, value in self.record.rounds[-1].seconds.items():
            self.record.seconds[part] += value
        self.say(f"After step {self.step + 1} of {self.steps}: {len(choice.chosen)} go on.")
        self.group.watch(self.record, self.kept, choice.asked)
        if n < len(living) and not self.asked and (last or self.step >= self.plan.asks_after(self.group.pause.at)):
            self.pause()
        return [living[i] for i in choice.chosen]

    def pause(self):
        """Ask, once. Raises Changed if what is answered makes another run of this one."""
        self.asked = True
        group = self.group

        def check(answer):
            group.answered(answer).start(self.ground.seed, self.ground.rows, self.ground.gone, self.plan.price)

        self.say(f"Paused after step {self.step + 1} of {self.steps}: the board below asks who goes on.")
        with models_kept():
            answer = group.pause.ask(self.record, group.answer, check)
        if answer != group.answer:
            living, self.hub.living = self.hub.living, []  # whom the hub has it stops
            raise Changed(group.answer, answer, living, self.step, self.record.warnings)

    def texts(self):
        """By seed what a picture is compared with, together with what all share, where candidates have prompts of their own; else none."""
        own = self.record.prompts.get("positive")
        return own and {seed: ", ".join(filter(None, (words(text), self.text))) for seed, text in own.items()}

    def in_order(self, finished):
        """All of them, best first. Who cannot be judged comes last: nothing that is finished is lost."""
        try:
            judged = self.select(finished, len(finished), 1.0, self.group.objective)
        except ValueError as e:
            self.warn(f"The results are in the order of their seeds, not of their quality: {e}")
            return finished
        return judged + [t for t in finished if t not in judged]

    def as_one_picture(self, living):
        """A latent that shows all of them; None where no x0 of this step is remembered."""
        seen = [t.x0 for t in living if t.x0 is not None]
        if not seen:
            return None
        return tile(torch.cat(seen)) if len(self.ground.shapes) == 1 else seen[0]

    def tell(self, living, x0):
        """The host's callback: progress in model rows, interrupt, and a live preview of whatever x0 is, if it is anything."""
        if self.callback is not None and x0 is not None:
            done, whole = round(self.plan.work(self.step + 1)), round(self.plan.work())
            x = living[0].last.x if living[0].last else None
            self.callback(max(1, done) - 1, x0, x0 if x is None else x, whole)

    def warn(self, text):
        if text not in self.record.warnings:  # several processes see the same
            logging.warning(text)
            self.record.warnings.append(text)
