"""One run: candidates go step by step, are looked at, and the jointly best subset goes on."""

import logging
import time

import torch
from tqdm.auto import tqdm

from ..scorers.pool import Pool
from . import remarks
from .candidates import SEEDS, as_the_sampler_gets_it, different_rows, make_candidates
from .choose import choose
from .coupling import mixing, refuse_caches, refuse_memory
from .fingerprint import Fingerprint
from .hub import Hub
from .inputs import check_model, check_shape, check_sigmas
from .kept import STORE
from .notices import show_on_node
from .pause import Changed
from .plan import noise_gone
from .preview import Previewer, first_tensor, tile
from .prompt_text import prompt_text, words
from .record import Run, beside_plain, how_to_reproduce
from .resident_models import load_together, models_kept
from .rows import conditioning_lists
from .trajectory import Trajectory
from .variants import left_out, prompts
from .work import look_price

# Two noisy latents that differ by less than this share of their size are the same but for rounding.
SAME = 1e-3


class GroupRun:
    """A call of a GroupSampler: `sample` returns the K latents, `record` is the Run that it leaves. before: the Changed run that this one
    follows."""

    def __init__(self, group, guider, sigmas, extra_args, callback, before=None):
        self.group, self.guider, self.sigmas, self.extra_args, self.callback = group, guider, sigmas, extra_args, callback
        self.before, self.asked = before, group.pause.at == 0
        self.steps = len(sigmas) - 1
        self.step = -1
        self.record = self.kept = self.first_look = None

    def sample(self, noise, latent_image, denoise_mask, disable_pbar, sampler_kwargs):
        group, guider = self.group, self.guider
        self.shapes = _latent_shapes(guider, latent_image)
        check_model(guider.model_patcher)
        if len(self.shapes) == 1:
            check_shape(latent_image, guider.model_patcher.get_model_object("latent_format"))
        check_sigmas(self.sigmas)
        self.gone = noise_gone(self.sigmas, guider.model_patcher.get_model_object("model_sampling"))
        self.previewer = None
        self.to_model = guider.model_patcher.get_model_object("latent_format").process_in
        conditioning = [entry for _, _, entries in conditioning_lists(guider) for entry in entries]
        rows = different_rows(latent_image, denoise_mask, group.batch_index, conditioning)
        self.seed = self.extra_args["seed"] or 0
        self.plan, seeds, self.pinned = self.planned(rows)
        refuse_caches(guider)
        refuse_memory(guider)
        self.text = prompt_text()
        self.kept = self.pool(noise, latent_image, denoise_mask, sampler_kwargs)
        self.record = self.begun(rows, latent_image.shape[0], seeds, silent=not noise.any())
        if self.plan.looks or group.connected and self.plan.start > 1:
            self.prepare_selections(latent_image)
            self.record.decoder = self.previewer.in_words(self.shapes[0]) if self.previewer else ""
            self.say()
        for sentence in remarks.warnings(group, rows, conditioning, denoise_mask):
            self.warn(sentence)
        group.watch(self.record, self.kept)
        # The hub alone holds the trajectories, so that pruned ones are let go.
        self.hub = Hub(
            guider, self.trajectories(seeds, noise, latent_image, denoise_mask, sampler_kwargs), self.extra_args["model_options"], self.shapes,
            self.warn, group.objective.needs_guidance, self.seed,
        )  # fmt: skip
        for name in mixing(guider):
            self.hub.one_at_a_time(f"{name} does not keep the images of a batch apart")
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
        self.record.seconds["model"] = self.hub.model_seconds
        return samples

    def begun(self, rows, given, seeds, silent):
        """The Run before its first step. given: rows of the latent; silent: it brought its noise along."""
        group, seed, numbers = self.group, self.seed, {own: (own - self.seed) % SEEDS for own in seeds}
        own = prompts(self.guider, numbers)
        settings = {"seed": seed, "rows": rows, **group.schedule.settings(), "starting_candidates": self.plan.start, "steps": self.steps}
        settings |= group.objective.settings() | group.members.settings(seed, rows) | {"prompt": self.text}
        run = Run(settings, self.plan, pool=self.kept.id, prompts=own, reproduce=how_to_reproduce(seed, rows, silent, bool(own)))
        run.notes = remarks.notes(group, self.plan, rows, given) + left_out(self.guider, numbers)
        if self.before:
            run.changed = self.before.as_data()
            run.notes.append(str(self.before))
        return run

    def trajectories(self, seeds, noise, latent_image, denoise_mask, sampler_kwargs):
        """One for each candidate; those that earlier runs have left know their steps."""
        group, guider = self.group, self.guider

        def rewrapped(noise, seed):
            return as_the_sampler_gets_it(noise, guider, self.sigmas, {**self.extra_args, "seed": seed}, latent_image[:1])

        grown = [(own, self.record.row(own)) for own in seeds]
        candidates = make_candidates(grown, self.seed, noise, latent_image, denoise_mask, self.shapes, group.batch_index, rewrapped)
        run_as = (group.sampler, guider, self.sigmas, self.extra_args, sampler_kwargs)
        living = {t.candidate.seed: t for t in self.before.living if not t.greenlet.dead} if self.before else {}
        found = []
        for candidate in candidates:
            known, t = self.kept.known(candidate, self.plan, noise.device), living.get(candidate.seed)
            if t and t.reached <= len(known.steps):
                t.begin(known)
                found.append(t)
            else:
                found.append(Trajectory(candidate, *run_as, known))
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

    def planned(self, rows):
        """What GroupSampler.start says, with looks at the price that they have here."""
        group, objective = self.group, self.group.objective
        start = group.start(self.seed, rows, self.gone)
        if start[0].start == 1:
            return start
        if objective.needs_images:
            self.previewer = Previewer(self.guider.model_patcher, group.vae)
        price = look_price(self.guider, self.shapes[0], self.previewer, objective.scorers)
        return group.start(self.seed, rows, self.gone, price)

    def pool(self, *inputs):
        """What earlier runs of the same candidates left, and this one will."""
        group, args = self.group, self.extra_args
        # What the hub watches is kept with each step.
        setup = (self.guider, group.sampler, self.sigmas, args, group.batch_index, self.shapes, group.objective.needs_guidance)
        latent_format = self.guider.model_patcher.get_model_object("latent_format")
        return STORE.pool(Fingerprint(*setup, *inputs), latent_format, self.shapes)

    def say(self, *now):
        """On the node: the plan, how the inputs were taken, and what is going on."""
        show_on_node([f"Plan: {self.plan}", *self.record.notes, *now])

    def prepare_selections(self, latent_image):
        """What selections need, before any step is done: a previewer, models in memory, and scorers that work."""
        objective, vae = self.group.objective, self.group.vae
        patchers = objective.patchers
        if self.previewer:
            if self.previewer.warning:
                self.warn(self.previewer.warning)
            patchers += [vae.patcher] if vae is not None else []
        if patchers and not load_together(patchers):
            self.warn("The model, the VAE and the scorers do not fit into memory together and take turns: every selection loads them anew.")
        with models_kept():
            trial = self.kept.scores(self.group.vae, "trial", self.text)
            # Of several prompts the shortest is tried.
            texts = self.texts(self.record.prompts.get("positive", ()))
            texts = texts and 2 * [min(texts, key=len)]
            x0 = first_tensor(latent_image[:1], self.shapes).cpu()
            objective.try_out(x0, trial, text=self.text, texts=texts, to_model=self.to_model)

    def after_step(self, living):
        """Prune, report progress; returns the trajectories that go on, best first once there was a selection."""
        self.step = max(t.last.step for t in living if t.last)
        self.refuse_copies(living)
        # Who is looked at has an x0; of other steps that are remembered there is none.
        if len(living) > self.plan.end and all(t.x0 is not None for t in living):
            living = self.whole(living, [t.x0 for t in living], "x0")
        if len(living) > (n := self.plan.after(self.step)):
            for t in living:
                self.kept.keep(t)
            objective = self.group.objective if self.plan.scored(self.step) else self.group.objective.breadth
            living = self.select(living, n, self.gone[min(self.step, self.steps - 1)], objective)
        self.bar.update(max(0, round(self.plan.work(self.step + 1)) - self.bar.n))
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
        first, seeds = first_tensor(torch.cat([t.x0 for t in living]), self.shapes), [t.candidate.seed for t in living]
        sigma = float(self.sigmas[min(max(self.step, 0), self.steps)])
        known = self.kept.scores(self.group.vae, self.step, tuple(seeds), self.text)
        with models_kept():
            pictures = self.previewer(first) if any(s.needs_images for s in known.missing(objective)) else None
            previewed = time.perf_counter() - started
            guidance = torch.tensor([t.guidance for t in living]) if objective.needs_guidance else None
            pool = Pool(pictures, first, progress, sigma, guidance, self.text, self.texts(seeds), to_model=self.to_model)
            choice = choose(pool, objective, n, [i for i, seed in enumerate(seeds) if seed in self.pinned], known)
        for t, picture in zip(living, pictures if pictures is not None else [], strict=False):
            self.kept.keep_picture(t, picture if picture.ndim == 3 else picture[0])
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
            group.answered(answer).start(self.seed, self.record.settings["rows"], self.gone, self.plan.price)

        self.say(f"Paused after step {self.step + 1} of {self.steps}: the board below asks who goes on.")
        with models_kept():
            answer = group.pause.ask(self.record, group.answer, check)
        if answer != group.answer:
            living, self.hub.living = self.hub.living, []  # whom the hub has it stops
            raise Changed(group.answer, answer, living, self.step)

    def texts(self, seeds):
        """Of candidates with prompts of their own what a picture is compared with, together with what all share; else none."""
        own = self.record.prompts.get("positive")
        return None if own is None else [", ".join(filter(None, (words(own[seed]), self.text))) for seed in seeds]

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
        return tile(torch.cat(seen)) if len(self.shapes) == 1 else seen[0]

    def tell(self, living, x0):
        """The host's callback: progress in model rows, interrupt, and a live preview of whatever x0 is, if it is anything."""
        if self.callback is not None and x0 is not None:
            done, whole = round(self.plan.work(self.step + 1)), round(self.plan.work())
            x = living[0].last.x if living[0].last else None
            self.callback(max(1, done) - 1, x0, x0 if x is None else x, whole)

    def warn(self, text):
        logging.warning(text)
        self.record.warnings.append(text)


def _latent_shapes(guider, latent_image):
    """Shapes of the latent's tensors; several if the host packed a nested latent, which its models note in the conditioning."""
    for entries in guider.conds.values():
        for cond in entries:
            noted = cond["model_conds"].get("latent_shapes")
            if noted is not None and len(noted.cond) > 1:
                return [torch.Size(s) for s in noted.cond]
    return [latent_image.shape]
