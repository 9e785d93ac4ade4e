"""Prompts that are made up, through the HTTP API: whatever a node is given, it works, is refused, or says one sentence.

Nothing hangs, and after each the same small group comes out as before, bit by bit. One prompt alone: test_fuzz.py::test_prompt[17].
"""

import copy
import json
import re
import shutil
from pathlib import Path

import backbones
import pytest
from fuzz import Fuzz
from PIL import Image

from devtools.host import HostError, host_in_use
from devtools.server import Server

FOLDER = Path(__file__).parent
SECONDS = 60
PROBE = {
    "garden": {"class_type": "GardenLoader", "inputs": {}},
    "text": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["garden", 1], "text": "red tulips"}},
    "latent": {"class_type": "FuzzObject", "inputs": {"name": "LATENT: one row", "number": 0}},
    "color": {"class_type": "PairwiseScorer", "inputs": {"scorer": "color", "scorer.space": "lab"}},
    "group": {"class_type": "GroupKSampler", "inputs": {
        "model": ["garden", 0], "positive": ["text", 0], "negative": ["text", 0], "latent_image": ["latent", 0], "vae": ["garden", 2],
        "pairwise": ["color", 0], "seed": 5, "steps": 2, "cfg": 2.0, "sampler_name": "euler_ancestral", "scheduler": "simple", "denoise": 1.0,
        "starting_candidates": 4, "output_group_size": 2, "pruning_ratio": 0.5, "lambda_score": 1.5,
    }},
    "seen": {"class_type": "FuzzSeen", "inputs": {"value": ["group", 0]}},
}  # fmt: skip
# What Python, torch and numpy say by themselves, inside a sentence of ours too.
RAW = re.compile(
    r"object has no attribute|'NoneType'|of NoneType|not subscriptable|unsupported operand|must be Tensor|expected (scalar type|a non-empty|str)|index out of range"
    r"|out of bounds|sizes? of tensor|shapes cannot|must match|is invalid for input|not iterable|positional argument|keyword argument|too many values"
    r"|not enough values|cannot convert|not supported between|Boolean value of Tensor|codec can't|Expected .* but got|arg(ument)? .* must be|must be Union"
    r"|torch\.Size|(singleton|spatial|for) dimension|Dimension out|not implemented for|Input size must|Input and output sizes"
)


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(metafunc.config.getoption("--fuzz")))


class Bench:
    """A server with odd_pack and tiny scorers, replaced when a prompt has stopped or blocked it."""

    def __init__(self, folder):
        backbones.folders(folder / "group_scorers")
        shutil.copytree(FOLDER / "odd_pack", folder / "custom_nodes" / "odd_pack")
        config = folder / "extra_model_paths.yaml"
        config.write_text(f"fuzz:\n  base_path: {folder.as_posix()}\n  group_scorers: group_scorers\n  custom_nodes: custom_nodes\n")
        self.arguments = ["--cpu", "--extra-model-paths-config", str(config)]
        self.installed = {path.name for path in (folder / "group_scorers").iterdir()} | {"garden-clip", "garden-dinov2"}
        self.log, self.runs, self.expected = folder / "log.txt", 0, None
        self.start()

    def start(self):
        self.server = Server(host_in_use(), self.arguments, self.log)
        self.server.__enter__()
        pictures = self.server.folder / "input" / "fuzz"
        pictures.mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (24 + i, 32), (40 * i, 255 - 40 * i, 90)).save(pictures / f"{i}.png")
        (pictures / "notes.txt").write_text("no picture")

    def stop(self):
        self.server.__exit__()

    def probe(self):
        """The graph of the probe, which the host has not cached."""
        self.runs += 1
        graph = copy.deepcopy(PROBE)
        graph["latent"]["inputs"]["number"] = self.runs
        return graph

    def run(self, *graphs, seconds=SECONDS):
        """What /prompt answered and the history entry, None of a refused prompt, for each. Raises HostError when they don't end."""
        answers = [self.server.post("/prompt", {"prompt": graph}) for graph in graphs]
        entries = []
        for answer in reversed(answers):  # the last ends last
            entries.insert(0, self.server.wait(answer["prompt_id"], seconds) if "prompt_id" in answer else None)
        self.server.post("/history", {"clear": True})
        return list(zip(answers, entries, strict=True))

    def end(self):
        """Interrupt what runs, start anew if that does not help; says which."""
        try:
            self.server.post("/interrupt")
            self.run(self.probe(), seconds=10)
            return "An interrupt ended it."
        except (HostError, OSError):
            self.stop()
            self.start()
            return "No interrupt ended it."


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "group_scorers").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        # For odd_pack; and models this small lose by threads that wait for each other.
        patch.setenv("PYTHONPATH", str(FOLDER.parent))
        patch.setenv("OMP_NUM_THREADS", "1")
        bench = Bench(folder)
        bench.fuzz = Fuzz(bench.server.get("/object_info"), bench.installed)
        ((_, entry),) = bench.run(bench.probe())
        bench.expected = seen(entry)["seen"]
        assert bench.expected["finite"]
        yield bench
        bench.stop()


def seen(entry):
    """What each FuzzSeen saw."""
    return {i: json.loads(output["text"][0]) for i, output in entry["outputs"].items() if "text" in output}


def error(entry):
    return next((data for kind, data in entry["status"]["messages"] if kind == "execution_error"), None)


EXCEPTIONS = ("ValueError", "RuntimeError", "FileNotFoundError")


def origin(problem):
    """(whether the last frame is in this pack, whether it raised on purpose)"""
    where, _, line = (problem["traceback"] or [""])[-1].partition("\n")
    return "custom_nodes/group_inference" in where.replace("\\", "/"), line.strip().startswith("raise ")


def is_one_sentence(problem):
    message = problem["exception_message"].strip()
    return problem["exception_type"] in EXCEPTIONS and "\n" not in message and len(message.split()) > 3 and not RAW.search(message)


def with_stock_samplers(info, graph):
    """The same graph with the host's samplers in place of the group's, and what cannot be without a group left out."""
    graph = copy.deepcopy(graph)
    for i, node in list(graph.items()):
        if node["class_type"] == "GroupKSampler":
            node["class_type"] = "KSampler"
            node["inputs"] = {k: v for k, v in node["inputs"].items() if k in info["KSampler"]["input"]["required"]}
            of_groups = [[i, 1], [i, 2]]  # report and seeds
            graph = {k: v for k, v in graph.items() if not any(value in of_groups for value in v["inputs"].values())}
        if node["class_type"] == "GroupSampler":
            for other in graph.values():
                other["inputs"] |= {k: node["inputs"]["sampler"] for k, v in other["inputs"].items() if v == [i, 0]}
        if node["class_type"] == "GroupPrompts":  # all at once
            texts = {name: value for name, value in node["inputs"].items() if name != "more"}
            graph[f"{i} text"] = {"class_type": "CLIPTextEncode", "inputs": texts}
            both = {"conditioning_1": [f"{i} text", 0], "conditioning_2": node["inputs"].get("more", [f"{i} text", 0])}
            node |= {"class_type": "ConditioningCombine", "inputs": both}
        if node["class_type"] in ("GroupReport", "QIPSelector"):
            graph = {k: v for k, v in graph.items() if k != i and not k.startswith(f"{i} out ")}
    return graph


def stock(bench, graph):
    """(exception type, whether all is finite) of the graph with the host's samplers, None if nothing is left of it."""
    ((_, entry),) = bench.run(with_stock_samplers(bench.fuzz.info, graph))
    if entry is None:
        return None, True
    problem = error(entry)
    return problem and problem["exception_type"], all(one.get("finite", True) for one in seen(entry).values())


def fault(bench, graph, entry):
    """What is wrong with how a prompt ended, None if nothing is."""
    problem = error(entry)
    if problem:
        ours, on_purpose = origin(problem)
        if ours and on_purpose and is_one_sentence(problem):
            return None
        # A graph with two faults may meet the other one first.
        if not ours and (alone := stock(bench, graph)[0]) and (on_purpose or alone == problem["exception_type"]):
            return None
        tail = "".join(problem["traceback"][-3:])
        return f"{problem['exception_type']}: {problem['exception_message'].strip()}\nin node {problem['node_id']}\n{tail}"
    outputs = seen(entry)
    reports = [json.loads(one["text"]) for one in outputs.values() if one.get("text", "").startswith("{")]
    if not all(one.get("finite", True) for one in outputs.values()) and stock(bench, graph)[1]:
        return "an output is not finite"
    for report in reports:
        if len(report["seeds"]) != report["settings"]["output_group_size"] and not report["warnings"]:
            return f"{len(report['seeds'])} of {report['settings']['output_group_size']} results came back without a warning"
    return None


def test_prompt(bench, number):
    what, graph = bench.fuzz.prompt(number)
    shown = f"prompt {number}: {what}\n{json.dumps(graph)}"
    try:
        (answer, entry), (_, probe) = bench.run(graph, bench.probe())
        found = fault(bench, graph, entry) if entry else None if answer["node_errors"] else answer
        if error(probe) or seen(probe)["seen"] != bench.expected:
            found = f"{found or ''}\nThe probe after it differs: {error(probe) or seen(probe)}"
    except (HostError, OSError) as e:
        found = f"{e} {bench.end()}"
    if found:
        pytest.fail(f"{found}\n{shown}", pytrace=False)


def test_every_extreme_is_among_the_prompts_of_ci(bench):
    assert bench.fuzz.extremes and len(bench.fuzz.extremes) < 300
