"""python3 dev.py thumbnails [NAME ...]: the pictures beside the shipped workflows, drawn by the garden model with the pack's own nodes.

The models that the workflows are for cannot be had here, so a picture shows the kind of task, not the model: a group of four, before
it the pictures that they were made from, where the task has some, and beside it the other groups, where there are several.
"""

import json
import sys

from PIL import Image

from .host import ROOT, HostError, host_in_use
from .server import Server, device_arguments

FOLDER = ROOT / "workflows"
PROMPTS = ("red tulips", "blue daisies", "yellow roses", "pink poppies", "white daisies", "purple tulips", "orange roses")
# What a workflow's candidates grow from; from nothing but a prompt, where it is not here.
SOURCES = {
    "flux_canny": "likeness", "flux_depth_lora": "likeness", "sdxl_controlnet": "likeness", "flux_controlnet": "likeness", "flux_redux": "likeness",
    "sdxl_unclip": "likeness", "flux_kontext": "change", "qwen_image_edit": "change", "instruct_pix2pix": "change", "image_to_image": "change",
    "batch_of_pictures": "change", "wan_image_to_video": "change", "inpaint_any_model": "hole", "flux_fill": "hole",
}  # fmt: skip
# Whose pictures are of many things.
OF_ALL = ("picture_folder", "several_prompts")
# Workflows for a checkpoint, which the garden can run as they are, with the seed in a node of its own or not.
AS_THEY_ARE = ("compare_lambda", "like_this_unlike_these", "next_four")
WEIGHTS = {"clip-vit-base-patch32": "garden-clip", "dinov2-base": "garden-dinov2"}
SIDE, GAP = 192, 8


def as_it_is(name, number):
    """One of these with the garden's model, weights and pictures in the place of its own, and blocks as of graph_of."""
    graph = json.loads((FOLDER / "api" / f"{name}.json").read_text(encoding="utf-8"))
    of_class = lambda kind: {i: node["inputs"] for i, node in graph.items() if node["class_type"] == kind}
    add = lambda key, kind, **inputs: graph.__setitem__(key, {"class_type": kind, "inputs": inputs})
    words = PROMPTS[number % len(PROMPTS)]
    (loader,), (latent,), (text,) = (of_class(kind) for kind in ("CheckpointLoaderSimple", "EmptyLatentImage", "PrimitiveStringMultiline"))
    add(loader, "GardenLoader", habits=False)
    add(latent, "EmptySD3LatentImage", width=64, height=64, batch_size=1)
    graph[text]["inputs"]["value"] = words
    for i, download in of_class("ScorerDownload").items():
        del graph[i]
        for node in graph.values():
            node["inputs"] |= {key: WEIGHTS[download["model"]] for key, value in node["inputs"].items() if value == [i, 1]}
    for seed in of_class("PrimitiveInt").values():
        seed["value"] = 100 * number
    samplers, sources = of_class("GroupKSampler"), of_class("LoadImage")
    how = {"cfg": 3, "sampler_name": "euler", "scheduler": "simple"}
    for i, sampler in samplers.items():
        sampler |= how
        add(f"decoded {i}", "VAEDecode", samples=[i, 0], vae=[loader, 2])
        add(f"group {i}", "PreviewImage", images=[f"decoded {i}", 0])
    for place, i in enumerate(sources):  # the first is what the group is to be like
        add(f"words {i}", "CLIPTextEncode", clip=[loader, 1], text=words if place else PROMPTS[(number + 3) % len(PROMPTS)])
        wanted = {key: sampler[key] for key in ("model", "steps", "negative", "latent_image", "denoise")}
        add(f"sampled {i}", "KSampler", **wanted, **how, positive=[f"words {i}", 0], seed=place)
        add(i, "VAEDecode", samples=[f"sampled {i}", 0], vae=[loader, 2])
        add(f"source {i}", "PreviewImage", images=[i, 0])
    first, *others = [f"source {i}" for i in sources] or [None]
    return graph, [[first] * bool(first), others, *([f"group {i}"] for i in samplers)]


def graph_of(name, number):
    """The garden workflow turned to a task, and what is shown: for each block the nodes that have its pictures."""
    if name in AS_THEY_ARE:
        return as_it_is(name, number)
    graph = json.loads((FOLDER / "api" / "garden.json").read_text(encoding="utf-8"))
    sampler, words = graph["7"]["inputs"], PROMPTS[number % len(PROMPTS)]
    graph["2"]["inputs"]["text"] = graph["5"]["inputs"]["scorer.text"] = words
    sampler |= {"seed": 100 * number}
    graph["1"]["inputs"]["habits"] = False
    if name in OF_ALL:
        graph["2"] = {"class_type": "GroupPrompts", "inputs": {"clip": ["1", 1], "text": "\n".join(PROMPTS)}}
        graph["5"]["inputs"]["scorer.text"] = ""
    source = SOURCES.get(name)
    if not source:
        return graph, [["9"]]
    add = lambda key, kind, **inputs: graph.__setitem__(key, {"class_type": kind, "inputs": inputs})
    add("other", "CLIPTextEncode", clip=["1", 1], text=PROMPTS[(number + 3) % len(PROMPTS)] if source == "change" else words)
    wanted = ("model", "steps", "cfg", "sampler_name", "scheduler", "negative", "latent_image")
    first = {key: sampler[key] for key in wanted} | {"positive": ["other", 0], "seed": 7, "denoise": 1.0}
    add("first", "KSampler", **first)
    add("source", "VAEDecode", samples=["first", 0], vae=["1", 2])
    add("save source", "PreviewImage", images=["source", 0])
    if source == "likeness":
        like = {
            "scorer": "reference",
            "scorer.image": ["source", 0],
            "scorer.by": "dinov2",
            "scorer.by.model": "garden-dinov2",
            "scorer.by.compare": "patches",
        }
        graph["5"]["inputs"] = like
        graph["6"]["inputs"] = {"scorer": "color", "scorer.space": "lab"}
    else:
        sampler |= {"latent_image": ["first", 0], "denoise": 0.8}
    if source == "hole":
        add("outside", "SolidMask", value=0.0, width=64, height=64)
        add("inside", "SolidMask", value=1.0, width=32, height=48)
        add("mask", "MaskComposite", destination=["outside", 0], source=["inside", 0], x=16, y=8, operation="add")
        add("masked", "SetLatentNoiseMask", samples=["first", 0], mask=["mask", 0])
        sampler |= {"latent_image": ["masked", 0], "denoise": 1.0}
    return graph, [["save source"], ["9"]]


def sheet(blocks):
    """Blocks of pictures side by side: one in the height of two, two one above the other, four two by two."""
    placed, left = [], 0
    for block in blocks:
        side, columns = (2 * SIDE, 1) if len(block) == 1 else (SIDE, len(block) // 2)
        placed += [(picture, side, left + i % columns * side, i // columns * side) for i, picture in enumerate(block)]
        left += columns * side + GAP
    image = Image.new("RGB", (left - GAP, 2 * SIDE), "white")
    for picture, side, *at in placed:
        image.paste(picture.resize((side, side), Image.Resampling.BICUBIC), at)
    return image


def main():
    host = host_in_use()
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    wanted = sys.argv[1:] or names
    if unknown := [name for name in wanted if name not in names]:
        raise HostError(f"There is no workflow named {unknown[0]}: there are {', '.join(names)}.")
    log = ROOT / "output" / "comfyui.log"
    with Server(host, device_arguments(host.python), log) as server:
        for number, name in enumerate(names):
            if name not in wanted:
                continue
            graph, shown = graph_of(name, number)
            entry = server.wait(server.submit(graph))
            if error := server.error(entry):
                raise HostError(error)
            blocks = [[picture for node in block for picture in server.pictures(entry, node)] for block in shown if block]
            sheet(blocks).save(FOLDER / f"{name}.jpg", quality=85)
            print(FOLDER / f"{name}.jpg")


if __name__ == "__main__":
    try:
        main()
    except HostError as e:
        sys.exit(str(e))
