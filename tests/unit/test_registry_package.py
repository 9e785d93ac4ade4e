"""What .comfyignore leaves for those who install from the registry."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def files(*options):
    done = subprocess.run(["git", "ls-files", *options], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_it_holds_all_that_comfyui_loads_and_shows_and_nothing_for_developers():
    packed = files() - files("--ignored", "--cached", "--exclude-from=.comfyignore")
    folders = {"garden", "nodes", "sampling", "scorers", "solver", "web", "workflows"}
    assert {Path(file).parts[0] for file in packed} == folders | {
        "LICENSE",
        "README.md",
        "__init__.py",
        "pyproject.toml",
        "requirements.txt",
    }
    for folder in folders - {"garden", "workflows"}:
        assert {file for file in files() if file.startswith(f"{folder}/")} <= packed
    left_out = {file for file in files() if file.startswith(("garden/", "workflows/"))} - packed
    demo = ("garden/MODEL_CARD.md", "garden/scenes.py", "garden/training/", "garden/weights/", "workflows/garden.", "workflows/api/garden.")
    assert left_out and all(file.startswith(demo) for file in left_out)
