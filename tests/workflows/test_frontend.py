"""Every shipped workflow in the real frontend: it opens without a complaint, and is what its API form says.

`python3 dev.py test tests/workflows/test_frontend.py --write-api` writes the API forms anew, after a workflow was changed in the browser.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import shipped
from PIL import Image

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def chromium():
    """Path of a browser. Without one these tests are skipped, in CI they fail."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser and shutil.which("node") and (HERE / "node_modules" / "playwright-core").is_dir():
        return browser
    missing = "The workflows were not opened in a browser: install Chromium and Node.js, and run npm install in tests/workflows."
    (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)


@pytest.fixture(scope="session")
def seen(server, chromium):
    """What the frontend makes of all of them, by name and renderer."""
    for name in shipped.NAMES:
        for node in shipped.api_form(name).values() if (shipped.FOLDER / "api" / f"{name}.json").exists() else ():
            if node["class_type"] == "LoadImage":
                Image.new("RGB", (64, 64)).save(server.folder / "input" / node["inputs"]["image"])
    files = [str(shipped.FOLDER / f"{name}.json") for name in shipped.NAMES]
    done = subprocess.run(
        ["node", HERE / "frontend.mjs", chromium, server.address, *files], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return {Path(file).stem: found for file, found in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_opens_without_a_complaint_and_is_what_its_api_form_says(seen, name, request):
    for found in seen[name].values():
        assert found["problems"] == [] and found["messages"] == []
    if request.config.getoption("--write-api"):
        shipped.write_api_form(name, seen[name]["vue"]["api"])
    assert seen[name]["canvas"]["api"] == seen[name]["vue"]["api"] == shipped.api_form(name)


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_says_where_every_model_file_goes(name):
    """The loaders' files are in the host's list of what to fetch, with a link, and in the note."""
    graph = shipped.browser_form(name)
    values = [value for node in graph["nodes"] for value in node.get("widgets_values") or [] if str(value).endswith(".safetensors")]
    models = [model for node in graph["nodes"] for model in node["properties"].get("models", [])]
    note = "".join(node["widgets_values"][0] for node in graph["nodes"] if node["type"] == "MarkdownNote")
    assert {model["name"] for model in models} == set(values)
    for model in models:
        assert model["url"].startswith("https://huggingface.co/") and "/resolve/" in model["url"]
        assert f"[{model['name']}]({model['url']}) → models/{model['directory']}" in note
