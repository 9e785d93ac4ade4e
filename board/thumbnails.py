"""Pictures that were chosen from, in the place of what a sampler's run keeps."""


class Thumbnails:
    """For Watched.pool: small pictures [h, w, 3] uint8 by what they are called; none where there are fewer than names."""

    def __init__(self, names, pictures):
        self._pictures = dict(zip(names, pictures, strict=False))

    def picture(self, name, row, step):
        """None where there is none; row, step: of a sampler's run alone."""
        return self._pictures.get(name)
