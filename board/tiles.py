"""Many small pictures in one file, for a browser to show parts of."""

import io
import math

from PIL import Image

from ..sampling.sheet import tile

# (up to so many pictures, the longer side of each in pixels).
SIDES = ((16, 256), (64, 128), (256, 96), (1024, 64))
MOST = SIDES[-1][0]
QUALITY = 80


def tiles(pictures):
    """A webp file with up to MOST pictures [h, w, 3] uint8 row by row in cells of one size, as many columns as `columns` says. None: an
    empty cell."""
    side = next(side for most, side in SIDES if len(pictures) <= most)
    # A browser enlarges as well, and for nothing.
    side = min(side, max((max(picture.shape[:2]) for picture in pictures if picture is not None), default=side))
    images = [None if picture is None else tile(picture, side) for picture in pictures]
    sizes = [image.size for image in images if image] or [(side, side)]
    width, height = max(w for w, _ in sizes), max(h for _, h in sizes)
    across = columns(len(pictures))
    sheet = Image.new("RGBA", (across * width, math.ceil(len(pictures) / across) * height))
    for i, image in enumerate(images):
        if image:
            x, y = i % across * width, i // across * height
            sheet.paste(image, (x + (width - image.width) // 2, y + (height - image.height) // 2))
    file = io.BytesIO()
    sheet.save(file, "webp", quality=QUALITY, method=0)
    return file.getvalue()


def columns(count):
    return math.ceil(math.sqrt(count))
