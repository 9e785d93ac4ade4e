"""The workflows that this repository ships."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
# Those that sample with models that are not here.
SAMPLING = [name for name in NAMES if name not in ("garden", "picture_folder")]
BLOCKS = sorted((ROOT / "subgraphs").glob("*.json"))


def browser_form(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def api_form(name):
    return json.loads((FOLDER / "api" / f"{name}.json").read_text(encoding="utf-8"))


def model_files(name):
    """(folder below models, file name) of everything that a workflow needs."""
    models = [model for node in browser_form(name)["nodes"] for model in node["properties"].get("models", [])]
    return {(model["directory"], model["name"]) for model in models}


def write_api_form(name, graph):
    nodes = ",\n".join(f" {json.dumps(i)}: {json.dumps(node, ensure_ascii=False)}" for i, node in graph.items())
    (FOLDER / "api" / f"{name}.json").write_text(f"{{\n{nodes}\n}}\n", encoding="utf-8")
