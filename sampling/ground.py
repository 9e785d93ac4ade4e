"""What all candidates of a run grow from: what the host gives to a sampler, checked, and what follows from it before anything is chosen."""

import torch

from .candidates import as_the_sampler_gets_it, different_rows, make_candidates
from .coupling import refuse_caches, refuse_memory
from .inputs import check_model, check_shape, check_sigmas
from .plan import noise_gone
from .rows import conditioning_lists
from .trajectory import Trajectory


class Ground:
    """sampler: that each candidate runs; guider, sigmas, extra_args, noise, latent_image, denoise_mask, sampler_kwargs: as the host hands
    them to it; batch_index: of the incoming latent.

    shapes: of the latent's tensors; latent_format: of the model; conditioning: all entries; gone: see plan.noise_gone; rows: how many
    candidates the latent has rows for; seed: of the first candidate. Raises ValueError for what cannot be sampled as a group.
    """

    def __init__(self, sampler, guider, sigmas, extra_args, noise, latent_image, denoise_mask, batch_index, sampler_kwargs):
        self.sampler, self.guider, self.sigmas, self.extra_args = sampler, guider, sigmas, extra_args
        self.noise, self.latent_image, self.denoise_mask = noise, latent_image, denoise_mask
        self.batch_index, self.sampler_kwargs = batch_index, sampler_kwargs
        self.shapes = _latent_shapes(guider, latent_image)
        check_model(guider.model_patcher)
        self.latent_format = guider.model_patcher.get_model_object("latent_format")
        if len(self.shapes) == 1:
            check_shape(latent_image, self.latent_format)
        check_sigmas(sigmas)
        self.gone = noise_gone(sigmas, guider.model_patcher.get_model_object("model_sampling"))
        self.conditioning = [entry for _, _, entries in conditioning_lists(guider) for entry in entries]
        self.rows = different_rows(latent_image, denoise_mask, batch_index, self.conditioning)
        self.seed = extra_args["seed"] or 0
        refuse_caches(guider)
        refuse_memory(guider)

    @property
    def parts(self):
        """All that a candidate's steps depend on, see fingerprint.py."""
        how = self.guider, self.sampler, self.sigmas, self.extra_args, self.batch_index, self.shapes
        return *how, self.noise, self.latent_image, self.denoise_mask, self.sampler_kwargs

    @property
    def silent(self):
        """Whether the latent brought its noise along."""
        return not self.noise.any()

    def candidates(self, grown):
        """One for each of `grown`: its seed, and its row of the latent."""

        def rewrapped(noise, seed):
            return as_the_sampler_gets_it(noise, self.guider, self.sigmas, {**self.extra_args, "seed": seed}, self.latent_image[:1])

        given = self.noise, self.latent_image, self.denoise_mask, self.shapes, self.batch_index
        return make_candidates(grown, self.seed, *given, rewrapped)

    def trajectory(self, candidate, known):
        return Trajectory(candidate, self.sampler, self.guider, self.sigmas, self.extra_args, self.sampler_kwargs, known)


def _latent_shapes(guider, latent_image):
    """Shapes of the latent's tensors; several if the host packed a nested latent, which its models note in the conditioning."""
    for entries in guider.conds.values():
        for cond in entries:
            noted = cond["model_conds"].get("latent_shapes")
            if noted is not None and len(noted.cond) > 1:
                return [torch.Size(s) for s in noted.cond]
    return [latent_image.shape]
