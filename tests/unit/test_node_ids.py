"""Node ids as ComfyUI-Manager finds them, which reads every source file of a repository and runs none: it knows the pack that a
workflow lacks by them. For it a node is a class directly under io.ComfyNode, its id a literal in define_schema."""

import ast
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IDS = json.loads((ROOT / "tests" / "host" / "object_info.json").read_text())


def parsed_sources():
    files = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [node for file in files for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))]


def id_of(node):
    """The literal, or what Manager guesses without one, the class's name."""
    schemas = [call for part in node.body if getattr(part, "name", "") == "define_schema" for call in ast.walk(part)]
    named = [word.value for call in schemas if isinstance(call, ast.Call) for word in call.keywords if word.arg == "node_id"]
    return next((value.value for value in named if isinstance(value, ast.Constant)), node.name)


def test_every_id_is_found_without_running_anything():
    classes = [node for node in parsed_sources() if isinstance(node, ast.ClassDef)]
    found = [id_of(node) for node in classes if any(ast.unparse(base).split(".")[-1] == "ComfyNode" for base in node.bases)]
    assert sorted(found) == sorted(IDS)


def test_no_mapping_of_the_old_kind_adds_others():
    """Manager takes a literal name in the NODE_CLASS_MAPPINGS of a test's pack for a node of this one."""
    for node in parsed_sources():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("NODE_CLASS_MAPPINGS"):
            assert not any(isinstance(part, ast.Constant) for part in ast.walk(node)), ast.unparse(node)
