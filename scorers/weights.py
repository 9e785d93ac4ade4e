"""Where scorer weights lie on disk, and the sentence that says how to get them.

Folders in the Hugging Face layout (config.json, model.safetensors, ...) under models/group_scorers and whatever
extra_model_paths.yaml adds under that name. Nothing is downloaded here, and only safetensors are read.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from .source import check

FOLDER = "group_scorers"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# Kinds that are not in the Hugging Face layout: the file to look for, and what to say when it is missing.
WEIGHTS = {"open_clip": "open_clip_model.safetensors"}
RECIPE = "the pack's docs/scorers.md has the lines of Python that make it"
OWN_LAYOUT = {
    "open_clip": f"put the checkpoint as open_clip_model.safetensors into it, in open_clip's layout; {RECIPE}",
    "lpips": f"put model.safetensors into it, with AlexNet's features.* of torchvision and lin*.model.1.weight of the lpips package; {RECIPE}",
}


@dataclass(frozen=True)
class Known:
    """A model to be had. kind: its model_type, as its config.json says; sources: (repository on the Hugging Face hub, names of
    the files that are needed from it)."""

    kind: str
    sources: tuple[tuple[str, tuple[str, ...]], ...]


TEXT_FILES = ("tokenizer.json", "tokenizer_config.json")
MODEL_FILES = ("config.json", "model.safetensors")
IMAGE_FILES = (*MODEL_FILES, "preprocessor_config.json")
# By folder name; the first of a kind is what its scorers offer first.
KNOWN = {
    "clip-vit-base-patch32": Known("clip", (("multimodalart/clip-vit-base-patch32", IMAGE_FILES + TEXT_FILES),)),
    "clip-vit-large-patch14": Known("clip", (("openai/clip-vit-large-patch14", IMAGE_FILES + TEXT_FILES),)),
    "PickScore_v1": Known(
        "clip",
        (
            ("yuvalkirstain/PickScore_v1", MODEL_FILES),
            ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", ("preprocessor_config.json", *TEXT_FILES)),
        ),
    ),
    "siglip2-base-patch16-224": Known("siglip", (("google/siglip2-base-patch16-224", IMAGE_FILES + TEXT_FILES),)),
    "siglip2-so400m-patch14-384": Known("siglip", (("google/siglip2-so400m-patch14-384", IMAGE_FILES + TEXT_FILES),)),
    "aesthetic-v2": Known("aesthetic", (("ttj/sac-logos-ava1-l14-linearMSE", ("model.safetensors",)),)),
    "dinov2-base": Known("dinov2", (("facebook/dinov2-base", IMAGE_FILES),)),
    "dinov2-small": Known("dinov2", (("facebook/dinov2-small", IMAGE_FILES),)),
    "dinov2-large": Known("dinov2", (("facebook/dinov2-large", IMAGE_FILES),)),
    "dinov3-vitb16-pretrain-lvd1689m": Known("dinov3_vit", (("facebook/dinov3-vitb16-pretrain-lvd1689m", IMAGE_FILES),)),
}


def search_paths():
    import folder_paths

    return [Path(p) for p in folder_paths.get_folder_paths(FOLDER)]


def installed(model_type):
    """Names of the folders on disk that hold a model of this `model_type` (as its config.json says)."""
    names = []
    for root in search_paths():
        for path in sorted(root.glob(f"*/{WEIGHTS.get(model_type, 'config.json')}")):
            if _read(path.parent / "config.json").get("model_type", model_type) == model_type and path.parent.name not in names:
                names.append(path.parent.name)
    return names


def choices(model_type):
    """What a node offers: the known models, the paper's first, then what else is on disk."""
    known = [name for name, model in KNOWN.items() if model.kind == model_type]
    return [*known, *(n for n in installed(model_type) if n not in known)]


def find(model_type, name):
    """The folder of an installed model. Raises FileNotFoundError that says what to put where, ValueError for a folder with
    something else in it."""
    for root in search_paths():
        folder = root / name
        if (folder / WEIGHTS.get(model_type, "model.safetensors")).exists():
            held = _read(folder / "config.json").get("model_type", model_type)
            if held != model_type:
                raise ValueError(f"{folder} holds a model of the type {held}, but this scorer needs {model_type}: choose another folder.")
            check(folder)
            return folder
        pickles = [path.name for path in sorted(folder.glob("*")) if path.suffix in PICKLES]
        if pickles:
            raise ValueError(
                f"{folder} holds {pickles[0]}, a pickle, which could run any program and is not read: put the model's safetensors file there."
            )
    folder = search_paths()[0] / name
    if name in KNOWN:
        parts = [f"{', '.join(files)} from {repository}" for repository, files in KNOWN[name].sources]
        what = f"download {' and '.join(parts)} on the Hugging Face hub into it, or let the node Scorer Download do it"
    else:
        what = OWN_LAYOUT.get(model_type, "put a model in the Hugging Face layout (config.json, model.safetensors, ...) into it")
    raise FileNotFoundError(
        f"The scorer's weights are not in {folder}: {what}. Nothing is downloaded by itself; the scorers color, structure, latent and cfg_agreement need no weights."
    )


def image_preprocessing(folder):
    """(height, width), share of the shorter side that a centre crop keeps, mean, std that the checkpoint was made for. Reads both
    layouts in use."""
    settings = _read(folder / "preprocessor_config.json") or _read(folder / "processor_config.json").get("image_processor", {})
    if not settings:
        raise FileNotFoundError(
            f"{folder} has no preprocessor_config.json: download it from the model's repository, it says at which size the model sees pictures."
        )
    cropped = settings.get("do_center_crop", False) and settings.get("crop_size")
    whole, size = (_sides(settings[key]) for key in ("size", "crop_size" if cropped else "size"))
    return size, min(size) / min(whole), settings["image_mean"], settings["image_std"]


def _sides(size):
    """(height, width) of a size in any of the forms in use."""
    if not isinstance(size, dict):
        size = {"shortest_edge": size}
    return size.get("height") or size["shortest_edge"], size.get("width") or size["shortest_edge"]


def _read(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
