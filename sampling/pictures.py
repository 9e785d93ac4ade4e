"""Pictures to choose from that are there already: a batch, a list of any sizes, or a folder, of which only the chosen are loaded whole."""

import os
import time
from pathlib import Path

import comfy.model_management
import folder_paths
import node_helpers
import nodes
import numpy as np
import torch
from comfy.utils import ProgressBar
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import ExifTags, Image, ImageOps

from ..scorers.pool import Pool, fitted, pictures
from .ask import Stream, of_pool
from .notices import in_one_line
from .preview import LONGEST_SIDE, as_tensor, small, still

# A warning names so many files.
MOST_NAMES = 5
# Of up to so many pictures small ones are kept to be looked at, with a longer side of so many pixels.
THUMBNAILS = ((64, 128), (1024, 64))


class Batches:
    """A list of IMAGEs as nodes hand them over. count: of pictures; names: none.

    Raises ValueError for no images, for what are none, and for pixels that are not finite.
    """

    names, warnings, reading = (), (), 0.0

    def __init__(self, batches):
        if not batches:
            raise ValueError("There are no images to choose from: connect the input image, or name a folder.")
        seen = [pictures(b) for b in batches]
        broken = (~torch.cat([b.isfinite().flatten(1).all(1).cpu() for b in batches])).nonzero().flatten().tolist()
        if broken:
            raise ValueError(
                f"Image {broken[0]} (counted from 0) holds NaN or infinite pixels: decode it again at higher precision or leave it out."
            )
        self.count = sum(map(len, seen))
        self.of_one_size = len({b.shape[1:] for b in seen}) == 1
        alike = len({(b.shape[1:], b.dtype, b.device) for b in batches}) == 1
        self.seen, self.given = seen, batches if alike or not self.of_one_size else seen

    def said(self, objective, x0=None, text=""):
        """What the scorers say of them, see ask.Said."""
        if self.of_one_size:
            return of_pool(Pool(torch.cat(self.seen) if len(self.seen) > 1 else self.seen[0], x0, text=text), objective)
        if any(b.ndim > 4 for b in self.seen):
            raise ValueError("Videos of different sizes cannot be compared: scale them to one size first, with ImageScale for example.")
        stream = Stream(objective, self.count, LONGEST_SIDE, x0, text)
        for batch in self.seen:
            for picture in batch:
                stream.add(fitted(picture[None], LONGEST_SIDE)[0])
        return stream.said()

    @property
    def thumbnails(self):
        """[h, w, 3] uint8 of each, of videos their first frames; none of too many."""
        side = _thumbnail_side(self.count)
        return [small(still(picture), side) for batch in self.seen for picture in batch] if side else []

    def whole(self, indices):
        """Of one size one batch of these, in the order of the indices; else each alone. As they came, but as scorers see them where one
        size holds several kinds of tensors."""
        chosen = self.alone(indices)
        return [torch.cat(chosen)] if self.of_one_size else chosen

    def alone(self, indices):
        """Each of these as a batch of one, which takes no memory."""
        each = [row[None] for batch in self.given for row in batch]
        return [each[i] for i in indices]


class Folder:
    """The pictures in a folder below ComfyUI's input or output folder, in the order of their names; those in folders below it are not
    looked at. name: as the host's loaders write it, "cats" or "cats [output]"; without, input comes first.

    count: of files, from `said` on of pictures; names: of these; thumbnails: of these too, see Batches; reading: seconds that this
    took. Raises ValueError for a folder that is not there or lies elsewhere, and for one without pictures. Nothing elsewhere is read,
    not through symbolic links either.
    """

    def __init__(self, name):
        self.path, self.root, self.kind = _folder(name)
        outside = lambda entry: entry.is_symlink() and not (self.path / entry.name).resolve().is_relative_to(self.root)
        self.names, elsewhere = [], []
        for entry in sorted(os.scandir(self.path), key=lambda entry: entry.name):
            if entry.is_file():
                (elsewhere if outside(entry) else self.names).append(entry.name)
        self.warnings = _left_out("that are links to other places", elsewhere)
        self.count, self.of_one_size, self.reading, self.thumbnails = len(self.names), True, 0.0, []
        if not self.names:
            raise ValueError(f"The folder {self.path} holds no pictures: name another folder.")

    @property
    def fingerprint(self):
        """Changes with what is in the folder."""
        return [(name, (stat := (self.path / name).stat()).st_mtime_ns, stat.st_size) for name in self.names]

    def said(self, objective, x0=None, text=""):
        stream, bar, sizes, names, skipped = Stream(objective, self.count, LONGEST_SIDE, x0, text), ProgressBar(self.count), set(), [], []
        side = _thumbnail_side(self.count)
        for done, name in enumerate(self.names, 1):
            comfy.model_management.throw_exception_if_processing_interrupted()
            bar.update_absolute(done)
            started = time.perf_counter()
            try:
                size, picture = _thumbnail(self.path / name)
            except Exception:  # of PIL, by what the file is, and of its plugins
                skipped.append(name)
                continue
            self.reading += time.perf_counter() - started
            sizes.add(size)
            names.append(name)
            stream.add(picture)
            if side:
                self.thumbnails.append(small(picture, side))
        self.names, self.count, self.of_one_size = names, len(names), len(sizes) == 1
        self.warnings += _left_out("that cannot be read as pictures", skipped)
        if not names:
            raise ValueError(f"The folder {self.path} holds no pictures: name another folder.")
        return stream.said()

    def whole(self, indices):
        chosen = [self._load(self.names[i]) for i in indices]
        return [torch.cat(chosen)] if self.of_one_size else chosen

    def alone(self, indices):
        """Nothing: what is not chosen is not loaded."""
        return ExecutionBlocker(
            "QIPSelector does not load the pictures of a folder that it did not choose: rejected_indices has their places in the report's files."
        )

    def _load(self, name):
        """As the host loads it, the first frame of several."""
        file = (self.path / name).relative_to(self.root).as_posix()
        try:
            return nodes.LoadImage().load_image(f"{file} [{self.kind}]")[0][:1]
        except Exception as e:  # of the host's decoders, by what the file is
            raise ValueError(
                f"ComfyUI's Load Image cannot load {file}, which was chosen: {in_one_line(e)}. Take it out of the folder."
            ) from e


def _folder(name):
    """(path, that of the host's folder in which it lies, both without links, "input" or "output")."""
    bare, base = folder_paths.annotated_filepath(name.strip())
    for kind in ("input", "output"):
        own = folder_paths.get_directory_by_type(kind)
        root = Path(own).resolve()
        try:
            path = (root / bare).resolve()
            if base in (None, own) and path.is_relative_to(root) and path.is_dir():
                return path, root, kind
        except (OSError, ValueError):  # too long for a path, or with what no path holds
            pass
    raise ValueError(
        f"folder is {name[:100]!r}, but there is no such folder in ComfyUI's input or output folder, and no other is read: move it there, or connect its pictures as image."
    )


def _thumbnail_side(count):
    return next((side for most, side in THUMBNAILS if count <= most), None)


def _thumbnail(path):
    """((width, height) of a picture on disk, what it shows [h, w, 3] in 0..1 with the longer side at most LONGEST_SIDE), both upright."""
    with node_helpers.pillow(Image.open, path) as file:
        turned = file.getexif().get(ExifTags.Base.Orientation, 1) > 4
        size = file.size[::-1] if turned else file.size
        file.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))  # JPEG alone knows how to be read smaller
        picture = node_helpers.pillow(ImageOps.exif_transpose, file)
    if picture.mode.startswith("I"):  # grey of 16 bits, which PIL would cut off
        picture = Image.fromarray((np.asarray(picture) / 257).clip(0, 255).round().astype(np.uint8))
    picture = picture.convert("RGB")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
    return size, as_tensor(picture)


def _left_out(why, names):
    """What a warning says of files, or nothing."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return [f"Left out {len(names)} files {why}: {', '.join(names[:MOST_NAMES])}{more}."] if names else []
