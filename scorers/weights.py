"""Where scorer weights lie on disk, and the sentence that says how to get them.

Folders in the Hugging Face layout (config.json, model.safetensors, ...) under models/group_scorers and whatever
extra_model_paths.yaml adds under that name. Nothing is downloaded here, and only safetensors are read.
"""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = "group_scorers"


@dataclass(frozen=True)
class Known:
    """A model to be had: its folder name, the repository on the Hugging Face hub and the files that are needed."""

    name: str
    repository: str
    files: tuple[str, ...]


TEXT_FILES = ("tokenizer.json", "tokenizer_config.json")
IMAGE_FILES = ("config.json", "model.safetensors", "preprocessor_config.json")
KNOWN = {
    "clip": Known("clip-vit-base-patch32", "multimodalart/clip-vit-base-patch32", IMAGE_FILES + TEXT_FILES),
    "dinov2": Known("dinov2-base", "facebook/dinov2-base", IMAGE_FILES),
}


def search_paths():
    import folder_paths

    return [Path(p) for p in folder_paths.get_folder_paths(FOLDER)]


def installed(model_type):
    """Names of the folders on disk that hold a model of this `model_type` (as its config.json says)."""
    names = []
    for root in search_paths():
        for config in sorted(root.glob("*/config.json")):
            if _read(config).get("model_type") == model_type and config.parent.name not in names:
                names.append(config.parent.name)
    return names


def choices(model_type):
    """What a node offers: the paper's model first, then what else is on disk."""
    known = KNOWN[model_type].name
    return [known, *(n for n in installed(model_type) if n != known)]


def find(model_type, name):
    """The folder of an installed model. Raises FileNotFoundError that says what to put where."""
    for root in search_paths():
        if (root / name / "config.json").exists() and (root / name / "model.safetensors").exists():
            return root / name
    known, folder = KNOWN[model_type], search_paths()[0] / name
    what = (
        f"download {', '.join(known.files)} from {known.repository} on the Hugging Face hub into it"
        if known.name == name
        else "put a model in the Hugging Face layout (config.json, model.safetensors, ...) into it"
    )
    raise FileNotFoundError(f"The scorer's weights are not in {folder}: {what}. Nothing is downloaded by itself.")


def image_preprocessing(folder):
    """(height, width), mean, std that the checkpoint was made for. Reads both layouts in use."""
    settings = _read(folder / "preprocessor_config.json") or _read(folder / "processor_config.json").get("image_processor", {})
    if not settings:
        raise FileNotFoundError(
            f"{folder} has no preprocessor_config.json: download it from the model's repository, it says at which size the model sees pictures."
        )
    cropped = settings.get("do_center_crop", False) and settings.get("crop_size")
    size = settings["crop_size"] if cropped else settings["size"]
    if not isinstance(size, dict):
        size = {"shortest_edge": size}
    size = (size.get("height") or size["shortest_edge"], size.get("width") or size["shortest_edge"])
    return size, settings["image_mean"], settings["image_std"]


def _read(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
