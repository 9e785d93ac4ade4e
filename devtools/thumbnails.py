"""python3 dev.py thumbnails [NAME ...]: the pictures beside the shipped workflows, drawn by the garden model with the pack's own nodes.

The models that the workflows are for cannot be had here, so a picture shows the kind of task, not the model: a group of four from
sixteen, and before it the picture that they were made from, where the task has one.
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
SIDE = 192


def graph_of(name, number):
    """The garden workflow turned to a task."""
    graph = json.loads((FOLDER / "api" / "garden.json").read_text(encoding="utf-8"))
    sampler, words = graph["7"]["inputs"], PROMPTS[number % len(PROMPTS)]
    graph["2"]["inputs"]["text"] = graph["5"]["inputs"]["scorer.text"] = words
    sampler |= {"seed": 100 * number}
    graph["1"]["inputs"]["habits"] = False
    source = SOURCES.get(name)
    if not source:
        return graph
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
    return graph


def sheet(source, group):
    """The source, if any, at the left in the height of two; the group beside it, two by two."""
    left = 2 * SIDE * len(source)
    image = Image.new("RGB", (left + 2 * SIDE, 2 * SIDE))
    for picture in source:
        image.paste(picture.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC), (0, 0))
    for i, picture in enumerate(group):
        image.paste(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (left + i % 2 * SIDE, i // 2 * SIDE))
    return image


def main():
    host = host_in_use()
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    wanted = sys.argv[1:] or names
    if unknown := [name for name in wanted if name not in names]:
        raise HostError(f"There is no workflow named {unknown[0]}: there are {', '.join(names)}.")
    log = ROOT / "output" / "comfyui.log"
    log.parent.mkdir(exist_ok=True)
    with Server(host, device_arguments(host.python), log) as server:
        for number, name in enumerate(names):
            if name not in wanted:
                continue
            entry = server.wait(server.submit(graph_of(name, number)))
            if error := server.error(entry):
                raise HostError(error)
            sheet(server.pictures(entry, "save source"), server.pictures(entry, "9")).save(FOLDER / f"{name}.jpg", quality=85)
            print(FOLDER / f"{name}.jpg")


if __name__ == "__main__":
    try:
        main()
    except HostError as e:
        sys.exit(str(e))
