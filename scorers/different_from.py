"""Pictures that are in every group without being candidates, so that distances to them count."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from .combine import Combined
from .pool import Pool, finite_pictures, fitted, resized


class DifferentFrom(Combined):
    """A pairwise scorer, or a combination, and what every group holds besides the chosen: images [F, H, W, 3] or latents [F, C, ...]
    as the host's nodes exchange them, one of them None, or both of the same F.

    Raises ValueError for neither, for numbers that are not finite, and around a combination whose parts are not alike in this.
    """

    def __init__(self, scorer, images=None, latents=None):
        super().__init__([(scorer, 1.0)])
        around(scorer)
        if images is None and latents is None:
            raise ValueError("Different From has neither pictures nor latents to be different from: connect its image or its latent input.")
        self.images = None if images is None else finite_pictures(images, "image of Different From")
        self.latents = latents
        counts = {len(given) for given in (self.images, latents) if given is not None}
        if len(counts) > 1:
            raise ValueError(
                f"Different From has {len(self.images)} pictures but {len(latents)} latents: connect the latents of these pictures, or one of the two."
            )
        if counts == {0} or latents is not None and not latents.isfinite().all():
            raise ValueError("The latent of Different From is empty or holds NaN: connect the latent of a picture.")
        (self.count,) = counts

    @property
    def name(self):
        return self.parts[0][0].name

    def equals(self, other):
        pairs = ((self.images, other.images), (self.latents, other.latents))
        return all(torch.equal(a, b) if torch.is_tensor(a) and torch.is_tensor(b) else a is b for a, b in pairs)


def around(scorer):
    """Every DifferentFrom around the parts of a pairwise scorer, the innermost first. Raises ValueError where it is not the same for
    all parts."""
    if not isinstance(scorer, Combined):
        return []
    first, *others = [around(part) for part, _ in scorer.parts] or [[]]
    for other in others:
        if len(other) != len(first) or not all(a.equals(b) for a, b in zip(first, other, strict=True)):
            raise ValueError(
                "The parts of a combination are different from different pictures, but a group holds the same ones for all of them: connect Different From after Combine Difference Scorers."
            )
    return first + [scorer] * isinstance(scorer, DifferentFrom)


class FixedMembers:
    """All that `pairwise` is to be different from; count: F, 0 if it stands in no DifferentFrom."""

    def __init__(self, pairwise):
        self.given = around(pairwise)
        self.count = sum(one.count for one in self.given)
        self._pool, self._rows = None, {}

    def score(self, scorer, pool):
        """What one part says of the M candidates and, after them, the F given ones: [M + F, M + F]. Raises ValueError where it cannot
        compare these."""
        if not self.count:
            return scorer.score(pool)
        self._check(scorer)
        if not scorer.needs_images:
            # Without latents of the candidates the scorer has a sentence of its own.
            return scorer.score(pool if pool.x0 is None else replace(pool, images=None, x0=self._with_latents(pool), given=self.count))
        size = pool.images.shape[1:3]
        if hasattr(scorer, "between"):
            return self.between(scorer, scorer.rows(pool), size)
        return scorer.score(replace(pool, images=torch.cat([pool.images, self._pictures(size).images]), x0=None, given=self.count))

    def between(self, scorer, rows, size):
        """The same of a RowDistance's rows of the candidates [M, D], whose pictures are of this size."""
        if not self.count:
            return scorer.between(rows)
        self._check(scorer)
        fixed = self._pictures(size)
        if id(scorer) not in self._rows:
            self._rows[id(scorer)] = scorer.rows(fixed)
        return scorer.between(torch.cat([rows, self._rows[id(scorer)]]))

    def rows(self, scorer, longest):
        """What a RowDistance says of each given picture, [F, D], beside candidates of any sizes whose longer side is at most `longest`;
        None without any. Raises ValueError as above."""
        if not self.count:
            return None
        self._check(scorer)
        return torch.cat([scorer.rows(Pool(fitted(one.images, longest))) for one in self.given])

    def around(self, scorer):
        """Another pairwise scorer different from the same, by their latents; the scorer alone if these are not all there."""
        for one in self.given if all(one.latents is not None for one in self.given) else []:
            scorer = DifferentFrom(scorer, latents=one.latents)
        return scorer

    def _check(self, scorer):
        if getattr(scorer, "over_frames", False):
            raise ValueError(
                "it compares videos as a whole, and Different From has single pictures: choose another pairwise scorer, or take Different From out."
            )
        what, kind = ("pictures", "images") if scorer.needs_images else ("latents", "latents")
        if any(getattr(one, kind) is None for one in self.given):
            raise ValueError(f"it compares {what}, and a Different From has none: connect its {kind.removesuffix('s')} input as well.")

    def _pictures(self, size):
        """The pool of the given pictures, squashed to the candidates' size; what was computed of them goes with it."""
        if self._pool is None or self._pool.images.shape[1:3] != size:
            self._pool, self._rows = Pool(torch.cat([resized(one.images, size) for one in self.given])), {}
        return self._pool

    def _with_latents(self, pool):
        """x0 of the candidates, and after them the given latents: brought into its space and averaged to its size."""
        parts = [pool.x0]
        for one in self.given:
            x, wanted = one.latents.to(pool.x0.device).float(), pool.x0.shape[1:]
            plane = 2 * (len(wanted) > 2)  # sound and shapes have none: every number counts
            try:
                x = pool.to_model(x) if pool.to_model else x
            except RuntimeError:  # of formats that scale each channel
                fits = False
            else:
                fits = x.ndim == pool.x0.ndim and len(x) == one.count and x.shape[1 : x.ndim - plane] == wanted[: len(wanted) - plane]
            if not fits or 0 in x.shape:
                sizes = (" x ".join(map(str, shape)) for shape in (one.latents.shape[1:], wanted))
                raise ValueError(
                    "a latent of Different From is {}, but those of the candidates are {}, of which only height and width may differ: connect latents of the same model.".format(
                        *sizes
                    )
                )
            if x.shape[1:] != wanted:
                x = F.adaptive_avg_pool2d(x.flatten(0, -3), wanted[-2:]).unflatten(0, x.shape[:-2])
            parts.append(x)
        return torch.cat(parts)
