"""Prompts for the fuzz, by number: three of four have one odd value in a plain graph, every number input's extremes first; the
fourth has several in a graph of anything that fits.

What there is to vary is read from /object_info, so a new node or input of this pack is fuzzed without a change here.
"""

from dataclasses import dataclass
from random import Random

SEED = 10
PACK = "custom_nodes.group_inference"
NUMBERS = ("INT", "FLOAT")
MISSING = object()
# Makers of what sockets take: of these types every node that makes one, of this pack's own types its nodes, of others those below.
HOST_TYPES = ("SAMPLER", "SIGMAS", "GUIDER", "NOISE")
MAKERS = {"CONDITIONING": ["CLIPTextEncode", "GroupPrompts"], "LATENT": ["EmptySD3LatentImage"], "IMAGE": ["FuzzObject"]}
MAKERS |= {"CLIP_VISION": ["FuzzObject"], **dict.fromkeys(("MODEL", "CLIP", "VAE"), ["GardenLoader"])}
OBJECTS = {"IMAGE": "IMAGE: 6 pictures", "CLIP_VISION": "CLIP_VISION: tiny"}
OBJECTS_FOR = {
    ("QIPSelector", "latent"): "LATENT: 6 rows",
    ("DifferentFrom", "latent"): "LATENT: 6 rows",
    ("QIPSelector", "scores"): "NUMBERS: 6 scores",
    ("QIPSelector", "distances"): "NUMBERS: 36 distances",
    ("QIPSelector", "seeds"): "NUMBERS: 6 seeds",
    ("UnaryScorer", "scorer.clip"): "CLIP: that writes",
}
OMITTED = {"workers": 0.85, "scores": 0.85, "distances": 0.85, "seeds": 0.85, "folder": 0.85}  # beside others a third
# Values of inputs where the defaults are too slow, or one is too few; the first in plain graphs.
TYPICAL = {
    "seed": [7, 0, 2**64 - 2], "noise_seed": [7, 0, 2**64 - 2], "steps": [2, 1, 3, 4], "cfg": [3.0, 1.0], "denoise": [1.0, 0.6],
    "starting_candidates": [5, 2, 8, 12], "output_group_size": [2, 1, 3], "pruning_ratio": [0.5, 0.0, 0.3, 1.0], "lambda_score": [1.5, 0.0, 50.0],
    "start_percent": [0.0, 0.3], "schedule": ["paper", "budget"], "budget": [4.0, 2.4, 1.0], "width": [64, 32, 96], "height": [64], "batch_size": [1, 1, 4], "text": ["red tulips", "blue daisies", "red tulips\n{blue|white} daisies"],
    "folder": ["fuzz"], "count": [0],
}  # fmt: skip
TEXTS = [
    "", " ", "two\nlines", "\x00\x07\x1b", "long " * 2000, "\u202e\u05d0 \U0001f337", "\ud800", "NaN", "inf", "-1", "1e999", "1,", ",,,", "a / b / ",
    "((((:1.5", "{}%s\\", "embedding:no such",
]  # fmt: skip


@dataclass(frozen=True)
class Place:
    """An input of a node; chosen: what the dynamic combos above it must be set to for it to appear."""

    node: str
    name: str
    kind: str
    options: dict
    optional: bool
    chosen: tuple

    def fits(self, name):
        """Whether an object of this name is of the input's type."""
        kind = name.split(":")[0]
        return kind == self.kind or (kind == "NUMBERS" and self.options.get("forceInput", False))


@dataclass(frozen=True)
class Object:
    """A value that comes from a FuzzObject."""

    name: str


def of_pack(info):
    return [name for name, node in info.items() if node["python_module"] == PACK]


def inputs(description):
    """(name, type, options, optional) of each input of a description of inputs."""
    for presence in ("required", "optional"):
        for name, (kind, *options) in description.get(presence, {}).items():
            options = options[0] if options else {}
            kind, options = ("COMBO", {"options": kind}) if isinstance(kind, list) else (kind, options)
            yield name, kind, options, presence == "optional"


def places(node, description, prefix="", chosen=()):
    """Every Place of a node, those under dynamic combos too."""
    for name, kind, options, optional in inputs(description):
        at = prefix + name
        if kind == "COMFY_DYNAMICCOMBO_V3":
            for option in options["options"]:
                yield Place(node, at, "COMBO", {"options": [option["key"]]}, False, chosen)
                yield from places(node, option["inputs"], f"{at}.", (*chosen, (at, option["key"])))
        elif kind == "COMFY_AUTOGROW_V3":
            template = options["template"]
            ((_, inner),) = template["input"]["required"].items()
            for i in (0, template["max"] - 1, template["max"]):
                yield Place(node, f"{at}.{template['prefix']}{i}", inner[0], {}, False, chosen)
        else:
            yield Place(node, at, kind, options, optional, chosen)


class Fuzz:
    """prompt(number) gives the same graph each time, for one host and one version of this pack."""

    def __init__(self, info, installed):
        """installed: names of the scorer models that are there; others are asked for now and then."""
        self.info, self.installed = info, installed
        self.objects = info["FuzzObject"]["input"]["required"]["name"][0]
        everywhere = [place for name in [*of_pack(info), "SamplerCustomAdvanced"] for place in places(name, info[name]["input"])]
        self.extremes = [[(place, value)] for place in everywhere for value in self.extreme(place)]
        for name in of_pack(info):
            of_node = [place for place in everywhere if place.node == name]
            self.extremes += [*self.beyond(of_node), *self.beyond_together(of_node)]
        self.others = [[(place, value)] for place in everywhere for value in self.odd(place)]
        Random(SEED).shuffle(self.others)

    def extreme(self, place):
        given = place.options
        if "min" in given:
            yield from (given["min"], given["max"])
            yield from [0] if given["min"] < 0 else []
            yield from [float("nan")] if place.kind == "FLOAT" else []

    def beyond(self, places):
        """For the inputs of a node together: the host refuses these."""
        numbers = [place for place in places if "min" in place.options]
        for value in (lambda given: given["min"] - 1, lambda given: 2 * given["max"] + 1, lambda given: float("inf")):
            if numbers:
                yield [(place, value(place.options)) for place in numbers]

    def beyond_together(self, places):
        """The largest floats of a node beside numbers that are nearly too large already."""
        huge = [(place, Object(name)) for place in places for name in self.objects if name.endswith("1e308") and place.fits(name)]
        floats = [place for place in places if place.kind == "FLOAT" and "max" in place.options]
        yield from ([(place, place.options["max"]), other] for place in floats for other in huge if not place.fits(other[1].name))

    def odd(self, place):
        """What is not a number within the declared range: combos' options, texts, objects of the right type, other objects."""
        if place.optional:
            yield MISSING
        if place.kind == "COMBO":
            yield from place.options["options"]
        elif place.kind == "STRING":
            yield from TEXTS
        else:
            # For a number too: what is linked passes the host's check of the range.
            yield from (Object(name) for name in self.objects if place.fits(name))
            if "min" not in place.options:
                wrong = [name for name in self.objects if not place.fits(name)]
                yield from map(Object, Random(f"{place.node} {place.name}").sample(wrong, 3))

    def prompt(self, number):
        """(what is odd, as text, and the graph)"""
        rng = Random(f"{SEED} {number}")
        listed, at = self.extremes + self.others, number - number // 4
        plain = number % 4 != 3 and at < len(listed)
        forced = listed[at] if plain else sum(rng.sample(listed, rng.randint(1, 3)), [])
        what = "; ".join(f"{place.node}.{place.name} = {'missing' if value is MISSING else repr(value)[:80]}" for place, value in forced)
        return what, _Graph(self, number, rng, forced, plain).nodes


class _Graph:
    """One graph around the nodes that have something forced on them."""

    def __init__(self, fuzz, number, rng, forced, plain):
        self.fuzz, self.info, self.number, self.rng, self.plain, self.nodes = fuzz, fuzz.info, number, rng, plain, {}
        self.forced = {}
        for place, value in forced:
            of_node, wanted = self.forced.setdefault(place.node, {}), {**dict(place.chosen), place.name: value}
            if all(of_node.get(name, value) == value for name, value in wanted.items()):  # else below another choice
                of_node.update(wanted)
        self.keep_short()
        target = next(iter(self.forced))
        makes = self.info[target]["output"]
        if target == "SamplerCustomAdvanced" or "SAMPLER" in makes:
            target = "GroupReport"
        elif any(kind.startswith("GROUP_") for kind in makes):
            target = rng.choice(["GroupKSampler", "QIPSelector"])
        elif target in ("GardenLoader", "GroupPrompts"):
            target = "GroupKSampler"
        self.add(target)
        self.look_at_outputs()

    def keep_short(self):
        """Thousands of steps or candidates go with little else, and a prompt's tokens cost a model their square."""
        if "text" in (prompts := self.forced.get("GroupPrompts", {})):
            prompts["text"] = prompts["text"][:2000]
        if "count" in (workers := self.forced.get("GroupWorkers", {})) and workers["count"] == 64:
            workers["count"] = 0  # so many processes are another matter
        for node in ("GroupKSampler", "GroupSampler"):
            forced = self.forced.get(node, {})
            if _large(forced.get("steps")):
                forced |= {"sampler_name": "dpm_adaptive"}  # does not look at the steps between
            if _large(forced.get("output_group_size")):
                forced |= {"schedule": "paper"}  # a budget starts as many
            if _large(forced.get("starting_candidates")):
                forced |= {"vae": MISSING, "unary": MISSING} | ({"steps": 1} if node == "GroupKSampler" else {})
                self.forced |= {"PairwiseScorer": {"scorer": "latent"}, "BasicScheduler": {"steps": 1}}
                self.forced |= {"EmptySD3LatentImage": {"width": 16, "height": 16, "batch_size": 1}}

    def add(self, name, /, **given):
        """The id of a new node with all it needs."""
        if name == "GardenLoader" and "garden" in self.nodes:
            return "garden"
        forced = self.forced.pop(name, {})
        if name == "GroupReport":
            sampler = self.link("SAMPLER", "GroupSampler")
            given = {"sampler": sampler, "latent": [self.add("SamplerCustomAdvanced", sampler=sampler), 0]}
        if name == "QIPSelector" and ("folder" in forced or (not self.plain and self.rng.random() < 0.3)):
            of_images = ("image", "latent", "scores", "distances", "seeds")
            given = {"folder": "fuzz", **dict.fromkeys(of_images, MISSING), **given}
        usual = {at: Object(made) for (node, at), made in OBJECTS_FOR.items() if node == name and (self.plain or self.rng.random() < 0.9)}
        filled = self.fill(self.info[name]["input"], {**given, **forced}, usual)
        filled |= {place: self.value(value) for place, value in forced.items() if place not in filled and value is not MISSING}
        i = "garden" if name == "GardenLoader" else str(len(self.nodes) + 1)
        self.nodes[i] = {"class_type": name, "inputs": filled}
        return i

    def fill(self, description, given, usual, prefix=""):
        filled = {}
        for name, kind, options, optional in inputs(description):
            at = prefix + name
            value = given.get(at)
            if value is MISSING or (value is None and optional and self.omitted(name, kind)):
                continue
            value = usual.get(at) if value is None else value
            if kind == "COMFY_DYNAMICCOMBO_V3":
                keys = {option["key"]: option["inputs"] for option in options["options"]}
                filled[at] = self.pick(list(keys)) if value is None else value
                filled |= self.fill(keys[filled[at]], given, usual, f"{at}.")
            elif kind == "COMFY_AUTOGROW_V3":
                template = options["template"]
                ((_, (inner, *_)),) = template["input"]["required"].items()
                for i in range(1 if self.plain else self.rng.randint(1, 3)):
                    part = f"{at}.{template['prefix']}{i}"
                    filled[part] = self.link(inner) if given.get(part) is None else self.value(given[part])
            else:
                filled[at] = self.typical(name, kind, options) if value is None else self.value(value)
        return filled

    def pick(self, options):
        return options[0] if self.plain else self.rng.choice(options)

    def omitted(self, name, kind):
        if any(kind in self.info[node]["output"] for node in self.forced):
            return False
        return name in OMITTED if self.plain else self.rng.random() < OMITTED.get(name, 0.3)

    def value(self, value):
        return self.object(value.name) if isinstance(value, Object) else value

    def typical(self, name, kind, options):
        if kind == "COMBO":
            there = [option for option in options["options"] if option in self.fuzz.installed]
            if self.plain and not there and "default" in options:
                return options["default"]
            return self.rng.choice(there if there and (self.plain or self.rng.random() < 0.9) else options["options"])
        if kind in (*NUMBERS, "STRING", "BOOLEAN"):
            return self.pick(TYPICAL[name]) if name in TYPICAL else options.get("default", options.get("min", 0))
        return self.link(kind)

    def link(self, kind, maker=None):
        """A link to a new node that makes this type; one that has something forced on it comes first."""
        makers = MAKERS.get(kind) or [
            name for name, node in self.info.items() if kind in node["output"] and (node["python_module"] == PACK or kind in HOST_TYPES)
        ]
        makers = [name for name in makers if name in self.forced] or makers
        maker = maker or (makers[0] if len(self.nodes) > 20 or self.rng.random() < 0.5 else self.pick(makers))
        if maker == "FuzzObject":
            return self.object(OBJECTS[kind])
        return [self.add(maker), self.info[maker]["output"].index(kind)]

    def object(self, name):
        return [self.add("FuzzObject", name=name, number=self.number), 0]

    def look_at_outputs(self):
        for i, node in list(self.nodes.items()):
            if node["class_type"] in ("GroupKSampler", "SamplerCustomAdvanced", "GroupReport", "QIPSelector", "ScorerDownload"):
                for slot, _ in enumerate(self.info[node["class_type"]]["output"]):
                    # Of these an output says that there is nothing to give.
                    needed = {1: "latent", 4: "image", 6: "seeds"} if node["class_type"] == "QIPSelector" else {}
                    if needed.get(slot, slot) in (slot, *node["inputs"]):
                        self.nodes[f"{i} out {slot}"] = {"class_type": "FuzzSeen", "inputs": {"value": [i, slot]}}


def _large(value):
    return isinstance(value, int) and value > 1000
