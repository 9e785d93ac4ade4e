"""What the registry shows of this pack, and what .comfyignore leaves for those who install from it."""

import re
import subprocess
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"board", "docs", "garden", "locales", "nodes", "sampling", "scaleout", "scorers", "solver", "subgraphs", "web", "workflows"}
PAGES = {"CHANGELOG.md", "LICENSE", "README.md"}
FOR_DEVELOPERS = ("docs/banner.png", "docs/icon.png", "garden/scenes.py", "garden/training/")


def files(*options):
    done = subprocess.run(["git", "ls-files", *options], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def packed():
    return files() - files("--ignored", "--cached", "--exclude-from=.comfyignore")


def test_it_holds_all_that_comfyui_loads_and_shows_and_nothing_for_developers():
    assert {Path(file).parts[0] for file in packed()} == FOLDERS | PAGES | {"__init__.py", "pyproject.toml", "requirements.txt"}
    left_out = {file for file in files() if Path(file).parts[0] in FOLDERS} - packed()
    assert left_out == {file for file in files() if file.startswith(FOR_DEVELOPERS)} and "garden/weights/flux.safetensors" in packed()


def test_nothing_in_it_imports_what_is_left_out():
    sources = "".join((ROOT / file).read_text(encoding="utf-8") for file in packed() if file.endswith(".py"))
    assert not re.search(r"^\s*(from|import) .*\b(devtools|scenes|tests|training)\b", sources, re.MULTILINE)


def test_it_is_small():
    assert sum((ROOT / file).stat().st_size for file in packed()) < 20e6


def test_its_pages_link_to_what_it_holds():
    folders = {str(parent) for file in packed() for parent in Path(file).parents}
    for page in sorted(file for file in packed() if file.endswith(".md")):
        for link in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
            target = (ROOT / page).parent.joinpath(link).resolve()
            assert ":" in link or str(target.relative_to(ROOT)) in packed() | folders, f"{page}: {link}"


def test_the_changelog_knows_the_version():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE).group(1)
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


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
