"""The JavaScript is checked as the Python is: types, a linter, and tests of what needs no page."""

import os
import shutil
from pathlib import Path

import pytest

from devtools.host import HostError
from devtools.node_packages import node_packages

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def node():
    try:
        with node_packages(ROOT / "tests" / "javascript") as (scratch, node):
            shutil.copytree(ROOT / "web", scratch / "web", ignore=shutil.ignore_patterns("docs"))
            yield node
    except HostError as e:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No JavaScript was checked: {e}")


@pytest.mark.parametrize(
    "arguments",
    [["node_modules/typescript/bin/tsc"], ["node_modules/eslint/bin/eslint.js", "--max-warnings", "0", "web"], ["--test", "state.test.js"]],
    ids=["types", "linter", "state"],
)
def test_it_passes(node, arguments):
    done = node(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
