"""How much the prompt has changed the picture so far; no weights, no decoding."""

from .reliability import GUIDANCE


class CfgAgreement:
    """u_i = sum over the model calls so far of mean((x0_cond - x0_uncond)^2) / sigma^2, >= 0: the accumulated difference of the
    predictions with and without the prompt, which grows with quality (accumulated score differences, arXiv 2505.23343).

    Only inside a sampler with guidance, which computes both anyway. Scores raise ValueError elsewhere.
    """

    name = "cfg_agreement"
    needs_images = False
    reliability = GUIDANCE
    needs_guidance = True

    def score(self, pool):
        if pool.guidance is None:
            raise ValueError("it compares predictions with and without the prompt, which there are only inside a group sampler.")
        return pool.guidance
