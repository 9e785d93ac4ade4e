"""python3 dev.py help-pictures [NODE ...]: the pictures of the nodes' help pages, web/docs/NODE.png, drawn by the real frontend.

A node is shown alone, or with what it is used with, where SCENES says that.
"""

import json
import sys
import tempfile
from pathlib import Path

from PIL import Image

from .browser import browser_programs
from .host import ROOT, HostError, host_in_use
from .server import Server, device_arguments

FOLDER = ROOT / "web" / "docs"
# Graphs in API form: {id: (node, inputs)}.
GARDEN = {
    "1": ("GardenLoader", {"habits": False}),
    "2": ("CLIPTextEncode", {"clip": ["1", 1], "text": "red tulips"}),
    "3": ("CLIPTextEncode", {"clip": ["1", 1]}),
}
INPUTS = {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}
SETTINGS = {**INPUTS, "cfg": 3, "control_after_generate": "fixed"}


def group(seed, **more):
    """Of the garden's pictures. Of a run that the host has done before nothing is said again, so each scene has its own seed."""
    return {
        **GARDEN,
        "4": ("EmptySD3LatentImage", {"width": 64, "height": 64}),
        "5": ("GroupKSampler", SETTINGS | {"seed": seed} | more),
        "6": ("VAEDecode", {"samples": ["5", 0], "vae": ["1", 2]}),
    }


CUSTOM = {
    "1": ("KSamplerSelect", {}),
    "2": ("GroupSampler", {"sampler": ["1", 0]}),
    "3": ("SamplerCustomAdvanced", {"sampler": ["2", 0]}),
    "4": ("GroupReport", {"sampler": ["2", 0], "latent": ["3", 0]}),
}
QUALITY = ("UnaryScorer", {"scorer": "clip"})
DIFFERENCE = ("PairwiseScorer", {"scorer": "dinov2"})
AESTHETIC = ("UnaryScorer", {"scorer": "aesthetic"})
COLOR = ("PairwiseScorer", {"scorer": "color"})
BOTH = {"scorers.scorer0": ["1", 0], "scorers.scorer1": ["2", 0]}
SCENES = {
    "CombinePairwiseScorers": {"1": DIFFERENCE, "2": COLOR, "3": ("CombinePairwiseScorers", BOTH), "4": ("GroupKSampler", {"pairwise": ["3", 0]})},
    "CombineUnaryScorers": {"1": QUALITY, "2": AESTHETIC, "3": ("CombineUnaryScorers", BOTH), "4": ("GroupKSampler", {"unary": ["3", 0]})},
    "GroupWorkers": {"1": ("GroupWorkers", {}), "2": ("GroupKSampler", {"workers": ["1", 0]})},
    "DifferentFrom": {
        **group(3, objective="log_det"),
        "7": COLOR,
        "8": ("DifferentFrom", {"pairwise": ["7", 0], "image": ["6", 0], "latent": ["5", 0]}),
        "9": ("GroupKSampler", SETTINGS | {"seed": 3, "objective": "log_det", "pairwise": ["8", 0], "vae": ["1", 2], "banned": ["5", 1]}),
        "10": ("VAEDecode", {"samples": ["9", 0], "vae": ["1", 2]}),
        "11": ("PreviewImage", {"images": ["6", 0]}),
        "12": ("PreviewImage", {"images": ["10", 0]}),
    },
    "GardenLoader": GARDEN,
    "GroupKSampler": {**group(1, pairwise=["8", 0], vae=["1", 2]), "7": ("PreviewImage", {"images": ["6", 0]}), "8": COLOR},
    "GroupReport": CUSTOM,
    "GroupSampler": CUSTOM,
    "GroupSheet": {
        **group(4, schedule="paper", starting_candidates=12, unary=["7", 0], pairwise=["8", 0], vae=["1", 2]),
        "6": ("GroupSheet", {"reports.report0": ["5", 1], "vae": ["1", 2]}),
        "7": ("UnaryScorer", {"scorer": "clip", "scorer.model": "garden-clip"}),
        "8": COLOR,
    },
    "PairwiseScorer": {"1": DIFFERENCE, "2": ("GroupKSampler", {"pairwise": ["1", 0]})},
    "QIPSelector": {
        "1": COLOR,
        "2": ("QIPSelector", {"folder": "flowers", "pairwise": ["1", 0]}),
        "3": ("PreviewImage", {"images": ["2", 0]}),
    },
    "QualityFloor": {"1": QUALITY, "2": ("QualityFloor", {"unary": ["1", 0], "minimum": 0.2}), "3": ("GroupKSampler", {"unary": ["2", 0]})},
    "SaveGroup": {**group(2), "7": ("SaveGroup", {"images": ["6", 0], "report": ["5", 1]})},
    "ScorerDownload": {"1": ("ScorerDownload", {}), "2": ("UnaryScorer", {"scorer": "clip", "scorer.model": ["1", 1]})},
    "UnaryScorer": {"1": QUALITY, "2": ("GroupKSampler", {"unary": ["1", 0]})},
}  # fmt: skip
# Ids of what is outside the picture.
OUTSIDE = {"DifferentFrom": "1234567", "GroupKSampler": "12348", "GroupReport": "1", "GroupSheet": "123478", "SaveGroup": "1234"}
RUN_FIRST = ("DifferentFrom", "GroupKSampler", "GroupSheet", "QIPSelector", "SaveGroup")
# In docs/demo.png: two rows of four.
SIDE, LEGEND = 256, 28


def scene(name, number):
    """What help_pictures.mjs needs to know of it. No id comes twice: the frontend keeps pictures and choices by id over graphs."""
    graph, outside = SCENES.get(name, {"1": (name, {})}), {*OUTSIDE.get(name, "")}
    own = lambda i: f"{number}0{i}"
    linked = lambda inputs: {key: [own(value[0]), value[1]] if isinstance(value, list) else value for key, value in inputs.items()}
    api = {own(i): {"class_type": kind, "inputs": linked(inputs)} for i, (kind, inputs) in graph.items()}
    return {"graph": api, "shown": [own(i) for i in graph if i not in outside], "runs": name in RUN_FIRST}


def save_flowers(folder):
    """The demo's pictures, one by one."""
    folder.mkdir()
    with Image.open(ROOT / "docs" / "demo.png") as demo:
        for i in range(8):
            left, top = i % 4 * SIDE, LEGEND + i // 4 * (SIDE + LEGEND)
            demo.crop((left, top, left + SIDE, top + SIDE)).save(folder / f"{i}.png")


def main():
    host = host_in_use()
    log = ROOT / "output" / "comfyui.log"
    with browser_programs() as run, Server(host, device_arguments(host.python), log) as server, tempfile.TemporaryDirectory() as scratch:
        ours = sorted(name for name, info in server.get("/object_info").items() if info["python_module"] == "custom_nodes.group_inference")
        wanted = sys.argv[1:] or ours
        if unknown := [name for name in wanted if name not in ours]:
            raise HostError(f"There is no node {unknown[0]} in this pack: there are {', '.join(ours)}.")
        save_flowers(server.folder / "input" / "flowers")
        file = Path(scratch, "scenes.json")
        file.write_text(json.dumps({name: scene(name, number) for number, name in enumerate(wanted, 1)}))
        for name in run("help_pictures.mjs", server.address, file, scratch):
            Image.open(Path(scratch, f"{name}.png")).convert("RGB").quantize(256).save(FOLDER / f"{name}.png", optimize=True)
            print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    try:
        main()
    except HostError as e:
        sys.exit(str(e))
