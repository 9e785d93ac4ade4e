"""Flower scenes with captions: the little world that the garden model is trained on.

A scene is drawn from integers (species, colour, count, background) and from a random generator for everything
that no caption names (where the flowers stand, how they lean, hue, sky, hills). A caption may leave any of the four
integers open: that is where two good answers to one prompt can differ.
"""

import colorsys
import math
from dataclasses import astuple, dataclass

import numpy as np
from PIL import Image, ImageDraw

SIZE = 64
SUPERSAMPLE = 4
OPEN = -1

SPECIES = ("tulip", "daisy", "rose", "bellflower")
PLURALS = ("tulips", "daisies", "roses", "bellflowers")
COLOURS = ("red", "yellow", "white", "pink", "purple", "blue")
COUNTS = ("one", "two", "three")
BACKGROUNDS = ("in a meadow", "in the desert", "by the sea", "at night")
ATTRIBUTES = {"species": SPECIES, "colour": COLOURS, "count": COUNTS, "background": BACKGROUNDS}

# hue in turns, saturation, value
PETALS = ((0.995, 0.88, 0.85), (0.145, 0.85, 0.98), (0.12, 0.04, 0.98), (0.93, 0.45, 0.98), (0.77, 0.68, 0.72), (0.61, 0.80, 0.88))


@dataclass(frozen=True)
class Scene:
    """What a caption can say; each field indexes its tuple above, OPEN (-1) in a caption that does not say it."""

    species: int
    colour: int
    count: int
    background: int

    def __iter__(self):
        return iter(astuple(self))


def random_scene(rng):
    return Scene(*(int(rng.integers(len(names))) for names in ATTRIBUTES.values()))


def held_out(scene):
    """Every fifth combination: the diffusion model is trained without these scenes and measured on their captions."""
    return (scene.species + 2 * scene.colour + 3 * scene.count + scene.background) % 5 == 0


def leave_open(scene, rng, share=0.35):
    """The same scene with each attribute forgotten with probability `share`."""
    return Scene(*(OPEN if rng.random() < share else value for value in scene))


def caption(scene):
    """'two red tulips in a meadow'; open attributes are left out, an open count is a plural."""
    names = ("flower", "flowers") if scene.species == OPEN else (SPECIES[scene.species], PLURALS[scene.species])
    words = [
        COUNTS[scene.count] if scene.count != OPEN else "",
        COLOURS[scene.colour] if scene.colour != OPEN else "",
        names[0 if scene.count == 0 else 1],
        BACKGROUNDS[scene.background] if scene.background != OPEN else "",
    ]
    return " ".join(word for word in words if word)


def all_captions():
    """Every (Scene, caption) that `caption` can produce, open attributes included."""
    ranges = [range(OPEN, len(names)) for names in ATTRIBUTES.values()]
    return [(s, caption(s)) for s in (Scene(a, b, c, d) for a in ranges[0] for b in ranges[1] for c in ranges[2] for d in ranges[3])]


def open_scenes(count, seed):
    """`count` different scenes whose captions leave one to three attributes open, the same ones first for every count."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < count:
        scene = leave_open(random_scene(rng), rng, 0.5)
        if 1 <= list(scene).count(OPEN) <= 3:
            found[scene] = None
    return list(found)


def hsv(h, s, v):
    r, g, b = colorsys.hsv_to_rgb(h % 1.0, min(max(s, 0.0), 1.0), min(max(v, 0.0), 1.0))
    return int(r * 255), int(g * 255), int(b * 255)


class Pen:
    """Draws on a canvas of SIZE * SUPERSAMPLE pixels in coordinates from 0 to 1, y downwards."""

    def __init__(self):
        self.pixels = SIZE * SUPERSAMPLE
        self.image = Image.new("RGB", (self.pixels, self.pixels))
        self.draw = ImageDraw.Draw(self.image)

    def scaled(self, points):
        return [(x * self.pixels, y * self.pixels) for x, y in points]

    def polygon(self, points, fill):
        self.draw.polygon(self.scaled(points), fill=fill)

    def disc(self, x, y, r, fill):
        self.draw.ellipse(self.scaled([(x - r, y - r), (x + r, y + r)]), fill=fill)

    def band(self, top, bottom, fill):
        self.draw.rectangle(self.scaled([(0, top), (1, bottom)]), fill=fill)

    def line(self, points, width, fill):
        self.draw.line(self.scaled(points), fill=fill, width=max(1, int(width * self.pixels)), joint="curve")

    def petal(self, x, y, angle, length, width, fill):
        """A pointed oval from (x, y) outwards; angle in radians, 0 points up."""
        t = np.linspace(0.0, 1.0, 12)
        side = width * np.sin(np.pi * t**0.8)
        along = np.concatenate([length * t, length * t[::-1]])
        across = np.concatenate([side, -side[::-1]])
        c, s = math.cos(angle), math.sin(angle)
        self.polygon(list(zip(x + across * c + along * s, y + across * s - along * c, strict=True)), fill)


def draw_background(pen, kind, rng):
    horizon = rng.uniform(0.5, 0.68)
    jitter = rng.uniform(-0.02, 0.02)
    if kind == 0:  # meadow
        pen.band(0, 1, hsv(0.56 + jitter, 0.25, 0.97))
        hill = [(x, horizon + 0.05 * math.sin(5 * x + rng.uniform(0, 6))) for x in (0, 0.25, 0.5, 0.75, 1)]
        pen.polygon([(0, 1), *hill, (1, 1)], hsv(0.27 + jitter, 0.62, 0.70))
        pen.band(horizon + 0.14, 1, hsv(0.29 + jitter, 0.65, 0.60))
    elif kind == 1:  # desert
        pen.band(0, 1, hsv(0.09 + jitter, 0.22, 0.98))
        x = rng.uniform(0.2, 0.8)
        pen.polygon([(x - 0.5, 1), (x, horizon - 0.06), (x + 0.6, 1)], hsv(0.085 + jitter, 0.50, 0.86))
        pen.band(horizon + 0.08, 1, hsv(0.09 + jitter, 0.48, 0.80))
    elif kind == 2:  # sea
        pen.band(0, 1, hsv(0.52 + jitter, 0.14, 0.99))
        pen.band(horizon - 0.08, 1, hsv(0.52 + jitter, 0.60, 0.72))
        pen.band(horizon + 0.16, 1, hsv(0.12 + jitter, 0.28, 0.93))
    else:  # night
        pen.band(0, 1, hsv(0.66 + jitter, 0.65, 0.20))
        for _ in range(int(rng.integers(5, 11))):
            pen.disc(rng.uniform(0, 1), rng.uniform(0, horizon), 0.008, hsv(0.15, 0.1, 0.95))
        pen.disc(rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.2), 0.06, hsv(0.14, 0.18, 0.97))
        pen.band(horizon + 0.1, 1, hsv(0.36 + jitter, 0.55, 0.20))
    if kind != 3:
        pen.disc(rng.uniform(0.1, 0.9), rng.uniform(0.06, 0.18), 0.055, hsv(0.14, 0.45 if kind else 0.3, 1.0))


def draw_leaf_pair(pen, x, y, size, green):
    pen.petal(x, y, -0.7, 0.75 * size, 0.10 * size, green)
    pen.petal(x, y, 0.8, 0.65 * size, 0.10 * size, green)


def draw_tulip(pen, x, y, size, lean, shades):
    base = y + 0.30 * size
    for angle, shade in ((-0.42, 2), (0.42, 2), (-0.16, 1), (0.16, 1), (0.0, 0)):
        pen.petal(x, base, lean + angle, 0.85 * size, 0.20 * size, shades[shade])


def draw_daisy(pen, x, y, size, lean, shades):
    n = 11
    for i in range(n):
        pen.petal(x, y, lean + 2 * math.pi * i / n, 0.55 * size, 0.10 * size, shades[i % 2])
    pen.disc(x, y, 0.17 * size, hsv(0.10, 0.9, 0.85))
    pen.disc(x, y, 0.10 * size, hsv(0.08, 0.9, 0.65))


def draw_rose(pen, x, y, size, lean, shades):
    for ring, (count, radius, petal) in enumerate(((5, 0.26, 0.24), (4, 0.14, 0.20), (3, 0.06, 0.13))):
        for i in range(count):
            angle = lean + 2 * math.pi * (i + 0.5 * ring) / count
            px, py = x + radius * size * math.sin(angle), y - radius * size * math.cos(angle)
            pen.disc(px, py, petal * size, shades[2])
            pen.disc(px, py, (petal - 0.035) * size, shades[0 if ring % 2 else 1])
    pen.disc(x, y, 0.07 * size, shades[2])


def draw_bellflower(pen, x, y, size, lean, shades):
    size *= 1.25
    for side, drop in ((-1, 0.0), (1, 0.12), (0, -0.32)):
        cx, cy = x + side * 0.34 * size, y + drop * size
        pen.line([(x, y - 0.20 * size), (cx, cy - 0.08 * size)], 0.03 * size, hsv(0.30, 0.6, 0.45))
        bell = [
            (-0.07, -0.10),
            (0.07, -0.10),
            (0.14, 0.12),
            (0.22, 0.30),
            (0.08, 0.24),
            (0.0, 0.32),
            (-0.08, 0.24),
            (-0.22, 0.30),
            (-0.14, 0.12),
        ]
        pen.polygon([(cx + bx * size, cy + by * size) for bx, by in bell], shades[2])
        pen.polygon([(cx + 0.72 * bx * size, cy + 0.72 * by * size) for bx, by in bell], shades[0])


FLOWERS = (draw_tulip, draw_daisy, draw_rose, draw_bellflower)


def render(scene, rng):
    """One picture of a fully specified scene: uint8 [SIZE, SIZE, 3]."""
    pen = Pen()
    draw_background(pen, scene.background, rng)
    n = scene.count + 1
    centres = (np.arange(n) + 0.5) / n + rng.uniform(-0.06, 0.06, n)
    size = {1: 0.44, 2: 0.36, 3: 0.29}[n] * rng.uniform(0.88, 1.12)
    hue, saturation, value = PETALS[scene.colour]
    hue += rng.uniform(-0.012, 0.012)
    dim = 0.88 if scene.background == 3 else 1.0
    shades = [hsv(hue, saturation * k, value * v * dim) for k, v in ((1.0, 1.0), (0.92, 0.92), (1.0, 0.76))]
    green = hsv(0.30 + rng.uniform(-0.03, 0.03), 0.65, 0.42 * dim)
    for i in rng.permutation(n):
        x, y = float(centres[i]), rng.uniform(0.30, 0.52)
        lean = rng.uniform(-0.25, 0.25)
        foot = x - 0.35 * math.tan(lean), rng.uniform(0.90, 1.02)
        pen.line([(x, y), ((x + foot[0]) / 2 + 0.02, (y + foot[1]) / 2), foot], 0.022, green)
        draw_leaf_pair(pen, foot[0], foot[1], size, green)
        FLOWERS[scene.species](pen, x, y, size, lean, shades)
    return np.asarray(pen.image.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
