"""dev.py run, against a running server."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GARDEN = ROOT / "workflows" / "garden.json"


def run(*arguments):
    command = [sys.executable, "-m", "devtools.run", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def last_entry(server):
    return max(server.get("/history").values(), key=lambda entry: entry["prompt"][0])


def test_a_workflow_from_the_shell(server, tmp_path):
    settings = ("7.seed=5", "GroupKSampler.steps=4", "Prompt.text=blue daisies", "7.schedule=paper", "7.starting_candidates=8")
    done = run(GARDEN, "--server", server.address, "--output", tmp_path, *(part for s in settings for part in ("--set", s)))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["settings"]["seed"] == 5 and report["settings"]["steps"] == 4 and set(report["seeds"]) <= set(range(5, 13))
    assert (
        len(list(tmp_path.glob("*.png"))) == 4
        and "GroupKSampler" in done.stdout
        and re.search(r"GroupKSampler +(\d+) of \1\b", done.stdout)
    )


def test_what_was_finished_is_saved_when_something_fails_later(server, tmp_path):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 2, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "first"}},
        "3": {"class_type": "QIPSelector", "inputs": {"image": ["1", 0], "output_group_size": 5, "lambda_score": 1.0}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }
    (tmp_path / "fails.json").write_text(json.dumps(graph))
    done = run(tmp_path / "fails.json", "--server", server.address, "--output", tmp_path)
    assert done.returncode == 1 and "output_group_size (5) is larger than the number of images (2)" in done.stderr
    # The host decides which branch comes first; whatever it finished is there.
    finished = [image for output in last_entry(server)["outputs"].values() for image in output["images"]]
    assert len(list(tmp_path.glob("*.png"))) == len(finished)


@pytest.mark.parametrize(("arguments", "sentence"), [
    (("no such.json",), "There is no file no such.json."),
    ((GARDEN, "--set", "99.seed=1"), "--set names 0 nodes by '99', not one: the workflow has 1 (GardenLoader), 2"),
    ((GARDEN, "--set", "CLIPTextEncode.text=a"), "--set names 2 nodes by 'CLIPTextEncode'"),
    ((GARDEN, "--set", "7.sed=1"), "Node 7 has no input 'sed': it has seed, steps"),
    ((GARDEN, "--set", "7"), "--set needs NODE.INPUT=VALUE, not '7'."),
    ((GARDEN, "--server", "http://127.0.0.1:9"), "No ComfyUI answers at http://127.0.0.1:9"),
])  # fmt: skip
def test_each_mistake_is_one_sentence(arguments, sentence, tmp_path):
    done = run(*arguments, "--output", tmp_path)
    assert done.returncode == 1 and done.stderr.startswith(sentence) and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("arguments", "sentence"), [
    (("workflows/sd15.json",), "This ComfyUI does not have all files that sd15.json needs: v1-5-pruned-emaonly-fp16.safetensors in models/checkpoints (from https://"),
    ((GARDEN, "--set", "5.scorer.model=no such folder"), "ComfyUI refused the workflow: node 5 (UnaryScorer): scorer.model: 'no such folder' not in "),
])  # fmt: skip
def test_what_the_server_lacks_is_one_sentence(server, arguments, sentence, tmp_path):
    done = run(*arguments, "--server", server.address, "--output", tmp_path)
    assert done.returncode == 1 and done.stderr.startswith(sentence) and done.stderr.count("\n") == 1
