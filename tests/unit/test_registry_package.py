"""What the registry shows of this pack, and what .comfyignore leaves for those who install from it."""

import re
import subprocess
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def files(*options):
    done = subprocess.run(["git", "ls-files", *options], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_it_holds_all_that_comfyui_loads_and_shows_and_nothing_for_developers():
    packed = files() - files("--ignored", "--cached", "--exclude-from=.comfyignore")
    folders = {"garden", "nodes", "sampling", "scorers", "solver", "web", "workflows"}
    assert {Path(file).parts[0] for file in packed} == folders | {
        "CHANGELOG.md",
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


def test_every_address_of_the_project_is_below_one():
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in files("*.md", "*.toml", "*.yml"))
    addresses = re.findall(r"(github(?:usercontent)?\.com/[^/\s]+/group-inference)(\S*)", text)
    (owner,) = {address.split("/")[1] for address, _ in addresses}
    assert f"github.repository_owner == '{owner}'" in (ROOT / ".github" / "workflows" / "publish.yml").read_text()
    shown = {rest.removeprefix("/main/").rstrip('"') for address, rest in addresses if "usercontent" in address}
    assert shown == {"docs/icon.png", "docs/banner.png"} <= files()


def test_icon_and_banner_are_as_the_registry_wants_them():
    (width, height), banner = Image.open(ROOT / "docs" / "icon.png").size, Image.open(ROOT / "docs" / "banner.png").size
    assert width == height <= 400 and banner[0] * 9 == banner[1] * 21
