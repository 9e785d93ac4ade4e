"""A look at candidates: the pictures of what they are predicted to become, and what scorers say of them."""

from typing import NamedTuple

import torch

from ..scorers.pool import Pool
from .kept import SIDE
from .preview import Previewer, first_tensor, small, still


class Moment(NamedTuple):
    """When it is. progress: share of the noise that is gone, 0..1; sigma: noise level; text: of the prompt; texts: by seed, where each
    candidate has a prompt of its own, else None."""

    progress: float
    sigma: float
    text: str
    texts: dict[int, str] | None


class Eyes:
    """Looks at candidates of a Ground for an Objective. previewer: what decodes them, None where nobody needs pictures."""

    def __init__(self, ground, objective, vae):
        self.ground, self.objective, self.vae = ground, objective, vae
        self.previewer = Previewer(ground.guider.model_patcher, vae) if objective.needs_images else None

    @property
    def patchers(self):
        """The host's patchers of all that looks need."""
        return self.objective.patchers + ([self.vae.patcher] if self.previewer and self.vae is not None else [])

    def look(self, living, scorers, moment):
        """(Pool of these trajectories, small pictures of them or none) for some of the objective's scorers."""
        pictures = self.previewer(self._first(living)) if any(s.needs_images for s in scorers) else None
        return self.pool(living, pictures, moment), [] if pictures is None else [small(still(picture), SIDE) for picture in pictures]

    def pool(self, living, pictures, moment):
        """The Pool of these trajectories, of whom there are these pictures."""
        guidance = torch.tensor([t.guidance for t in living]) if self.objective.needs_guidance else None
        texts = moment.texts and [moment.texts[t.candidate.seed] for t in living]
        to_model = self.ground.latent_format.process_in
        return Pool(pictures, self._first(living), moment.progress, moment.sigma, guidance, moment.text, texts, to_model=to_model)

    def _first(self, living):
        return first_tensor(torch.cat([t.x0 for t in living]), self.ground.shapes)
