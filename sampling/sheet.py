"""The contact sheet: every candidate with its seed, its scores and the step at which it left, drawn for people."""

import math
from textwrap import shorten

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .record import left, row_of

SIDE, MARGIN, FRAME, LINE = 192, 12, 4, 15
# Of a setting's value: a prompt may be long, and lists of seeds.
MOST_LETTERS = 40
PAPER, INK, FAINT, CHOSEN = (24, 24, 27), (235, 235, 235), (150, 150, 155), (255, 196, 61)


def sheet(report, picture, per_page):
    """Pages [PIL.Image] of one size with all candidates of a report in the order in which they left, the chosen ones last, best first,
    and framed. picture: (report, seed, step or None for the last) -> [h, w, 3] uint8; per_page: candidates on each."""
    tiles = [(tile(picture(report, seed, look["step"])), _words(report, seed, look, chosen=False)) for seed, look in left(report)]
    last = report["rounds"][-1] if report["rounds"] else None
    tiles += [(tile(picture(report, seed, None)), _words(report, seed, last, chosen=True)) for seed in report["seeds"]]
    first_chosen = len(tiles) - len(report["seeds"])
    columns = math.ceil(math.sqrt(min(per_page, len(tiles))))
    rows = math.ceil(min(per_page, len(tiles)) / columns)
    cell = _cell([shown for shown, _ in tiles], 3)
    pages = []
    for start in range(0, len(tiles), per_page):
        page = _page(columns, rows, cell)
        for i, (shown, words) in enumerate(tiles[start : start + per_page]):
            _place(page, cell, i % columns, i // columns, shown, words, framed=start + i >= first_chosen)
        pages.append(page)
    return pages


def compared(reports, picture):
    """One page with the group of each report in a row, under the settings in which the reports differ. picture: as for `sheet`."""
    groups = [[tile(picture(report, seed, None)) for seed in report["seeds"]] for report in reports]
    cell = _cell([shown for group in groups for shown in group], 2)
    page = _page(max(map(len, groups)), len(groups), cell, LINE + MARGIN)
    for row, (report, group, words) in enumerate(zip(reports, groups, differences(reports), strict=True)):
        at = MARGIN, MARGIN + row * (cell[1] + MARGIN + LINE + MARGIN)
        ImageDraw.Draw(page).text(at, words, INK, _font())
        last = report["rounds"][-1] if report["rounds"] else None
        for column, (seed, shown) in enumerate(zip(report["seeds"], group, strict=True)):
            name, _, scores = _words(report, seed, last, chosen=True)
            _place(page, cell, column, row, shown, [name, scores], framed=False, above=LINE + MARGIN)
    return page


def differences(reports):
    """For each report the settings that are not the same in all, in words."""
    settings = [report["settings"] for report in reports]
    names = dict.fromkeys(name for own in settings for name in own)
    differing = [name for name in names if any(own.get(name) != settings[0].get(name) for own in settings)]
    return [", ".join(f"{name} {shorten(str(own.get(name)), MOST_LETTERS)}" for name in differing) for own in settings]


def _words(report, seed, look, chosen):
    """Up to three lines below a picture."""
    name = f"row {row_of(report, seed)}" if report["settings"].get("rows", 1) > 1 else f"seed {seed}"
    scores = look["parts"] if look and look["parts"] else {report["settings"]["unary"]: look["unary"]} if look and look["unary"] else {}
    at = look["seeds"].index(seed) if look and seed in look["seeds"] else None
    shown = [f"{scorer} {values[at]:.3g}" for scorer, values in scores.items() if at is not None and values[at] is not None]
    when = "chosen" if chosen else f"left after step {look['step'] + 1} of {report['settings']['steps']}"
    return [name, when, " ".join(shown)]


def tile(picture, side=SIDE):
    """[h, w, 3] uint8 as a PIL image whose longer side is that; coarse pictures are a few pixels."""
    image = Image.fromarray(np.asarray(picture))
    scale = side / max(image.size)
    return image.resize([max(1, round(length * scale)) for length in image.size], Image.Resampling.BICUBIC, reducing_gap=1)


def _cell(tiles, lines):
    """(width, height) for the largest of the tiles with that many lines below it."""
    return SIDE, max(tile.height for tile in tiles) + MARGIN // 2 + lines * LINE


def _page(columns, rows, cell, above=0):
    return Image.new("RGB", (MARGIN + columns * (cell[0] + MARGIN), MARGIN + rows * (cell[1] + MARGIN + above)), PAPER)


def _place(page, cell, column, row, shown, words, framed, above=0):
    draw = ImageDraw.Draw(page)
    x, y = MARGIN + column * (cell[0] + MARGIN), MARGIN + above + row * (cell[1] + MARGIN + above)
    if framed:
        draw.rectangle((x - FRAME, y - FRAME, x + shown.width + FRAME - 1, y + shown.height + FRAME - 1), CHOSEN)
    page.paste(shown, (x, y))
    for i, line in enumerate(words):
        draw.text((x, y + shown.height + MARGIN // 2 + i * LINE), line, INK if framed or i == 0 else FAINT, _font())


def _font():
    return ImageFont.load_default(12)
