"""One run: candidates go step by step, are looked at, and the jointly best subset goes on."""

import logging
import time

import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from tqdm.auto import tqdm

from ..scorers.pool import Pool
from .candidates import SEEDS, different_rows, make_candidates
from .choose import BREADTH, choose
from .coupling import mixing, refuse_caches, refuse_memory
from .hub import Hub, Trajectory
from .inputs import check_model, check_shape, check_sigmas
from .notices import show_on_node
from .plan import noise_gone
from .preview import Previewer, tile
from .prompt_text import prompt_text, words
from .record import Run, how_to_reproduce
from .resident_models import load_together, models_kept
from .rows import conditioning_lists
from .variants import left_out, prompts
from .work import look_price

# Two noisy latents that differ by less than this share of their size are the same but for rounding.
SAME = 1e-3


class GroupRun:
    """A call of a GroupSampler: `sample` returns the K latents, `record` is the Run that it leaves."""

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
        check_sigmas(self.sigmas)
        self.gone = noise_gone(self.sigmas, guider.model_patcher.get_model_object("model_sampling"))
        self.previewer, self.told_apart = None, False
        conditioning = [entry for _, _, entries in conditioning_lists(guider) for entry in entries]
        rows = different_rows(latent_image, denoise_mask, group.batch_index, conditioning)
        self.plan = self.planned(rows)
        count = self.plan.start
        refuse_caches(guider)
        refuse_memory(guider)
        seed = self.extra_args["seed"] or 0
        settings = {"seed": seed, **group.schedule.settings(), "starting_candidates": count, "steps": self.steps}
        numbers = {(seed + i) % SEEDS: i for i in range(count)}
        own = prompts(guider, numbers)
        self.text = prompt_text()
        self.record = Run(settings | group.objective.settings() | {"prompt": self.text}, self.plan, prompts=own)
        self.record.notes = self.notes(rows, latent_image.shape[0]) + left_out(guider, numbers)
        self.record.reproduce = how_to_reproduce(seed, rows, not noise.any(), bool(own))
        if self.plan.looks or group.connected and count > 1:
            self.prepare_selections(latent_image)
            self.record.decoder = self.previewer.in_words(self.shapes[0]) if self.previewer else ""
            self.say()
        self.warn_of_rows(rows, conditioning, denoise_mask)

        def rewrapped(noise, seed):
            return _as_the_sampler_gets_it(noise, guider, self.sigmas, {**self.extra_args, "seed": seed}, latent_image[:1])

        grown_from = range(count) if rows > 1 else [0] * count
        candidates = make_candidates(grown_from, seed, noise, latent_image, denoise_mask, self.shapes, group.batch_index, rewrapped)
        trajectories = [Trajectory(c, group.sampler, guider, self.sigmas, self.extra_args, sampler_kwargs) for c in candidates]
        self.hub = Hub(guider, trajectories, self.extra_args["model_options"], self.shapes, self.warn, group.objective.needs_guidance, seed)
        del candidates, trajectories  # the hub alone holds them, so that pruned ones are let go
        for name in mixing(guider):
            self.hub.one_at_a_time(f"{name} does not keep the images of a batch apart")
        with tqdm(total=round(self.plan.work()), disable=disable_pbar, unit="row") as self.bar:
            finished = self.hub.run(self.after_step)
        finished = self.whole(finished, [t.result for t in finished], "result")
        if len(finished) > self.plan.end:  # a sampler without a last callback, dpm_adaptive for one
            finished = self.select(finished, self.plan.end, 1.0, group.objective)
        elif group.connected and not self.record.rounds and len(finished) > 1:
            finished = self.in_order(finished)
        if len(finished) < self.plan.end:
            self.warn(
                f"Only {len(finished)} of {self.plan.end} results are left: the other candidates were dropped, for the reasons above."
            )
        if group.ends_with_batch:
            self.tell(finished, torch.cat([t.x0 for t in finished]))
        samples = torch.cat([t.result for t in finished])
        self.record.seeds = [t.candidate.seed for t in finished]
        self.record.model_rows, self.record.check_rows = self.hub.model_rows, self.hub.check_rows
        self.record.seconds["model"] = self.hub.model_seconds
        return samples

    def planned(self, rows):
        """The Plan, with looks at the price that they have here."""
        group, objective = self.group, self.group.objective
        plan = group.plan(rows, self.gone)
        if plan.start == 1:
            return plan
        if objective.needs_images:
            self.previewer = Previewer(self.guider.model_patcher, group.vae)
        price = look_price(self.guider, self.shapes[0], self.previewer, objective.scorers)
        return group.plan(rows, self.gone, price)

    def notes(self, rows, given):
        """How the inputs were taken, where a user may have meant something else. given: rows of the latent."""
        found = []
        if rows > 1:
            found.append(f"The {rows} rows of the latent are not the same, so each is a candidate.")
        elif given > 1:
            found.append(f"All {given} rows of the latent are the same, so it counts as one.")
        if self.plan.looks and not self.group.connected:
            found.append("No scorers are connected, so candidates are told apart by their latents alone.")
        return found

    def say(self, *now):
        """On the node: the plan, how the inputs were taken, and what is going on."""
        show_on_node([f"Plan: {self.plan}", *self.record.notes, *now])

    def warn_of_rows(self, rows, conditioning, denoise_mask):
        """What cannot go with each candidate."""
        prompts = max((len(c["cross_attn"]) for c in conditioning if c.get("cross_attn") is not None), default=1)
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
        if self.previewer:
            if self.previewer.warning:
                self.warn(self.previewer.warning)
            patchers += [vae.patcher] if vae is not None else []
        if patchers and not load_together(patchers):
            self.warn("The model, the VAE and the scorers do not fit into memory together and take turns: every selection loads them anew.")
        with models_kept():
            texts = self.texts(self.record.prompts.get("positive", ()))
            objective.try_out(self.first_tensor(latent_image[:1]).cpu(), self.text, texts)

    def after_step(self, living):
        """Prune, report progress; returns the trajectories that go on, best first once there was a selection."""
        self.step = max(t.last.step for t in living if t.last)
        self.refuse_copies(living)
        if len(living) > self.plan.end:
            living = self.whole(living, [t.x0 for t in living], "x0")
        if len(living) > (n := self.plan.after(self.step)):
            objective = self.group.objective if self.plan.scored(self.step) else BREADTH
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
            self.warn(f"The candidate with seed {t.candidate.seed} was dropped at step {self.step + 1}: its {what} is not finite.")

    def select(self, living, n, progress, objective):
        started = time.perf_counter()
        self.say(f"After step {self.step + 1} of {self.steps}: {'looking at' if objective.needs_images else 'comparing'} {len(living)}.")
        x0 = torch.cat([t.x0 for t in living])
        sigma = float(self.sigmas[min(max(self.step, 0), self.steps)])
        with models_kept():
            pictures = self.previewer(self.first_tensor(x0)) if objective.needs_images else None
            previewed = time.perf_counter() - started
            guidance = torch.tensor([t.guidance for t in living]) if objective.needs_guidance else None
            pool = Pool(pictures, self.first_tensor(x0), progress, sigma, guidance, self.text, self.texts(t.candidate.seed for t in living))
            choice = choose(pool, objective, n)
        if n < len(living):
            self.report_broken([t for t, ok in zip(living, choice.finite, strict=True) if not ok], "score")
        if n == self.plan.end:  # who is left gets another chance before
            for sentence in choice.unmet:
                self.warn(sentence)
        seconds = {"model": self.hub.model_seconds - self.record.seconds["model"], "preview": previewed}
        self.record.rounds.append(choice.as_round(self.step, sigma, [t.candidate.seed for t in living], seconds))
        for part, value in self.record.rounds[-1].seconds.items():
            self.record.seconds[part] += value
        self.say(f"After step {self.step + 1} of {self.steps}: {len(choice.chosen)} go on.")
        return [living[i] for i in choice.chosen]

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
        """The host's callback: progress in model rows, interrupt, and a live preview of whatever x0 is."""
        if self.callback is not None:
            done, whole = round(self.plan.work(self.step + 1)), round(self.plan.work())
            self.callback(max(1, done) - 1, x0, living[0].last.x if living[0].last else x0, whole)

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


def _as_the_sampler_gets_it(noise, guider, sigmas, extra_args, latent_image):
    """Noise of a run as the model's wrappers of samplers change it; context windows shuffle it over time (FreeNoise)."""
    wrappers, taken = get_all_wrappers(WrappersMP.SAMPLER_SAMPLE, extra_args["model_options"], is_model_options=True), [noise]

    def sample(guider, sigmas, extra_args, callback, noise, *_, **__):
        taken.append(noise)
        return noise

    executor = WrapperExecutor.new_executor(sample, wrappers)
    executor.execute(guider, sigmas, extra_args, None, noise.clone(), latent_image, None, True)
    return taken[-1]
