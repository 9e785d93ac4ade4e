"""The same group from several processes: workers of Ray's beside a real server."""

import copy
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import ray
import safetensors.torch
import torch
from served import garden, report

from devtools.host import host_in_use
from devtools.server import Server

SAMPLERS = ("euler", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_2m")


class Bench:
    def __init__(self, folder):
        (folder / "custom_nodes").mkdir()
        shutil.copytree(Path(__file__).parent / "faults_pack", folder / "custom_nodes" / "faults_pack")
        config = folder / "extra_model_paths.yaml"
        config.write_text(f"workers:\n  base_path: {folder.as_posix()}\n  custom_nodes: custom_nodes\n")
        self.server = Server(host_in_use(), ["--cpu", "--extra-model-paths-config", str(config)], folder / "log.txt")
        self.plain, self.runs = {}, 0

    def entry(self, graph, **told):
        """Of a run from a pool that knows nothing, which the host has not cached."""
        self.server.post("/faults", {"faults": [], **told})
        self.runs += 1
        graph = copy.deepcopy(graph)
        graph["21" if "21" in graph else "7"]["inputs"]["solver_time_limit"] = 1 + self.runs / 1000
        return self.server.wait(self.server.submit(graph))

    def sampled(self, graph, **told):
        """(report, latents) of such a run."""
        entry = self.entry(graph, **told)
        assert self.server.error(entry) is None
        file = max((self.server.folder / "output").glob("*.latent"), key=os.path.getmtime)
        found = report(entry)
        assert found["known"] == 0 or found["changed"]
        return found, safetensors.torch.load_file(file)["latent_tensor"]

    def pids(self):
        """Of the workers that run."""
        return self.server.post("/faults")

    def gpus(self):
        """What workers may use, by says_which_gpu."""
        files = list((self.server.folder / "output").glob("GPU *"))
        for file in files:
            file.unlink()
        return {file.name.removeprefix("GPU ") for file in files}

    def alone(self, graph, **told):
        """What the same blocks give without workers, kept, since those that run are stopped by it."""
        key = repr(graph)
        if key not in self.plain:
            self.plain[key] = self.sampled(with_workers(graph, 0), **told)
        return self.plain[key]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_AUTH_MODE", "token")
        found = Bench(tmp_path_factory.mktemp("workers"))
        with found.server:
            yield found
            pids = found.pids()
    gone, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=20)
    assert not alive  # no process is left behind


@pytest.fixture
def graph():
    graph = garden()
    graph["7"]["inputs"] |= {"schedule": "paper", "start_percent": 0.2, "pruning_ratio": 0.3, "budget": 4}
    graph["90"] = {"class_type": "SaveLatent", "inputs": {"samples": ["7", 0], "filename_prefix": "group"}}
    return graph


def with_workers(graph, count, block_size=4, address="", **inputs):
    graph = copy.deepcopy(graph)
    graph["91"] = {"class_type": "GroupWorkers", "inputs": {"count": count, "block_size": block_size, "address": address}}
    graph["21" if "21" in graph else "7"]["inputs"] |= {"workers": ["91", 0], **inputs}
    return graph


@contextmanager
def cluster(gpus):
    """The address of one that was started as docs/scaleout.md says, and that says it has so many GPUs. It is killed in the end."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
    start += [f"--num-gpus={gpus}", "--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats"]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert any("Ray runtime started" in line for line in running.stdout)
            yield f"{ray.util.get_node_ip_address()}:{port}"
        finally:
            for process in [*psutil.Process(running.pid).children(recursive=True), running]:
                process.kill()


def says_which_gpu(graph):
    graph["92"] = {"class_type": "SaysWhichGPU", "inputs": {}}
    graph["2"]["inputs"]["text"] = ["92", 0]
    return graph


def sha(latents):
    return hashlib.sha256(latents.contiguous().numpy().tobytes()).hexdigest()


def assert_same(found, wanted):
    assert found[0]["seeds"] == wanted[0]["seeds"] and sha(found[1]) == sha(wanted[1])
    assert [(look["seeds"], look["kept"]) for look in found[0]["rounds"]] == [(look["seeds"], look["kept"]) for look in wanted[0]["rounds"]]


def by(sampler_name, graph):
    graph["7"]["inputs"]["sampler_name"] = sampler_name
    return graph


def in_two_steps(graph):
    """Of 17 candidates, so that the last block is of one, first by latents alone."""
    graph["7"]["inputs"] |= {"schedule": "budget", "pinned": "6", "banned": "3, 12", "sampler_name": "dpmpp_sde"}
    return graph


def around_a_node(graph):
    """The same by Group Sampler and the host's SamplerCustomAdvanced."""
    graph = copy.deepcopy(graph)
    inputs = graph["7"]["inputs"]
    names = (
        "starting_candidates",
        "output_group_size",
        "pruning_ratio",
        "lambda_score",
        "unary",
        "pairwise",
        "vae",
        "start_percent",
        "objective",
    )
    graph |= {
        "20": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "21": {"class_type": "GroupSampler", "inputs": {"sampler": ["20", 0], "schedule": "paper", **{name: inputs[name] for name in names}}},
        "22": {"class_type": "BasicScheduler", "inputs": {"model": ["1", 0], "scheduler": "simple", "steps": 8, "denoise": 1}},
        "23": {"class_type": "RandomNoise", "inputs": {"noise_seed": 3}},
        "24": {"class_type": "CFGGuider", "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "cfg": 3}},
        "25": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["23", 0], "guider": ["24", 0], "sampler": ["21", 0], "sigmas": ["22", 0], "latent_image": ["4", 0]}},
        "7": {"class_type": "GroupReport", "inputs": {"sampler": ["21", 0], "latent": ["25", 0]}},
    }  # fmt: skip
    graph["90"]["inputs"]["samples"] = ["7", 1]
    graph["8"]["inputs"]["samples"], graph["10"]["inputs"]["source"] = ["7", 1], ["7", 0]
    return graph


ANSWERS = [{"lambda_score": 0.0}, {"pinned": "4", "output_group_size": 3}]


def paused(graph):
    graph["7"]["inputs"] |= {"pause_at": 0.4, "sampler_name": "dpmpp_2m"}
    return graph


def test_blocks_change_nothing_but_rounding(bench, graph):
    """Before any worker runs, since without them those are stopped."""
    bench.alone(around_a_node(graph))
    for sampler_name in SAMPLERS:
        alone, plain = bench.alone(by(sampler_name, graph)), bench.sampled(graph)
        assert alone[0]["seeds"] == plain[0]["seeds"] and alone[0]["workers"] == plain[0]["workers"] == []
        assert torch.allclose(alone[1], plain[1], rtol=0, atol=1e-4 * float(plain[1].abs().max()))
    bench.alone(in_two_steps(copy.deepcopy(graph)))
    for answer in ANSWERS:
        bench.alone(
            {**paused(copy.deepcopy(graph)), "answer": {"class_type": "PreviewAny", "inputs": {"source": str(answer)}}}, answer=answer
        )


@pytest.mark.parametrize("sampler_name", SAMPLERS)
@pytest.mark.parametrize("count", [1, 2])
def test_the_same_bits_with_any_number_of_workers(bench, graph, count, sampler_name):
    alone, found = bench.alone(by(sampler_name, graph)), bench.sampled(with_workers(graph, count))
    assert_same(found, alone)
    assert len(found[0]["workers"]) == count and found[0]["model_rows"] == alone[0]["model_rows"] and found[0]["warnings"] == []
    assert [one["candidates"] for one in found[0]["workers"]] == {1: [8], 2: [4, 4]}[count]


def test_looks_at_latents_pins_and_bans(bench, graph):
    wanted = bench.alone(in_two_steps(graph))
    assert any(not look["scored"] for look in wanted[0]["plan"]["looks"]) and 6 in wanted[0]["seeds"]
    assert_same(bench.sampled(with_workers(graph, 2)), wanted)


@pytest.mark.parametrize("answer", ANSWERS, ids=["lambda", "pin"])
def test_a_pause_that_changes_the_run(bench, graph, answer):
    graph = {**paused(graph), "answer": {"class_type": "PreviewAny", "inputs": {"source": str(answer)}}}
    found, wanted = bench.sampled(with_workers(graph, 2), answer=answer), bench.alone(graph, answer=answer)
    assert_same(found, wanted)
    assert found[0]["changed"]["inputs"] == wanted[0]["changed"]["inputs"] == answer
    assert found[0]["model_rows"] == wanted[0]["model_rows"]  # who lives goes on where it is
    assert len(found[0]["workers"]) == 2
    if "pinned" in answer:  # what a worker had is repeated with those that have left since
        assert_same(bench.sampled(with_workers(graph, 2), answer=answer, faults=[[0, "after", "step", 5, "SIGKILL"]]), wanted)


def test_any_sampling_node(bench, graph):
    wanted, found = bench.alone(around_a_node(graph)), bench.sampled(with_workers(around_a_node(graph), 2))
    assert_same(found, wanted)
    assert len(found[0]["workers"]) == 2


def test_what_is_known_needs_no_workers(bench, graph):
    graph["7"]["inputs"]["seed"] = 40
    bench.sampled(with_workers(graph, 2))
    again = bench.server.wait(bench.server.submit(with_workers(graph, 2, lambda_score=1.0)))
    assert report(again)["known"] == 16 and report(again)["workers"] == []


@pytest.mark.parametrize(
    "faults",
    [
        [[0, "during", "step", 3, "SIGKILL"], [1, "after", "step", 6, "SIGKILL"]],
        [[0, "during", "look", 1, "SIGKILL"], [1, "before", "x0", 2, "SIGSTOP"]],
    ],
    ids=["in a step and idle", "while they are looked at, or stands still"],
)
def test_a_worker_that_dies(bench, graph, faults):
    graph["7"]["inputs"]["sampler_name"] = "euler_ancestral"
    wanted, found = bench.alone(graph), bench.sampled(with_workers(graph, 2), faults=faults, patience=3)
    assert_same(found, wanted)
    assert len(found[0]["warnings"]) == len(faults) and all("is lost" in sentence for sentence in found[0]["warnings"])
    assert any("stood still" in sentence for sentence in found[0]["warnings"]) == (faults[1][4] == "SIGSTOP")
    assert found[0]["model_rows"] >= wanted[0]["model_rows"]


@pytest.mark.parametrize(("rows", "said"), [(4, "Out of memory with 4 candidates in one model call: going on with 2."), (0, "is lost")])
def test_a_worker_without_memory(bench, graph, rows, said):
    """With less all agree on smaller calls, which round otherwise; without any its candidates go on here. It stays."""
    wanted, short = bench.alone(graph), copy.deepcopy(graph)
    short["92"] = {"class_type": "NoMemoryInWorkers", "inputs": {"model": ["1", 0], "rows": rows}}
    short["7"]["inputs"]["model"] = ["92", 0]
    bench.sampled(with_workers(graph, 2))
    before, found = bench.pids(), bench.sampled(with_workers(short, 2))
    assert found[0]["seeds"] == wanted[0]["seeds"] and torch.allclose(found[1], wanted[1], rtol=0, atol=1e-4 * float(wanted[1].abs().max()))
    assert (rows > 0 or sha(found[1]) == sha(wanted[1])) and bench.pids() == before
    assert len(found[0]["warnings"]) == {4: 1, 0: 2}[rows] and all(said in sentence for sentence in found[0]["warnings"])


def test_workers_that_die_at_any_time(bench, graph, request):
    """Of the later runs the memory of the server stays as it is: within a tenth."""
    runs, used = request.config.getoption("--kills"), []
    for number in range(runs):
        rng, name = random.Random(number), SAMPLERS[number % len(SAMPLERS)]
        wanted = bench.alone(by(name, graph))
        fault = lambda worker, rng=rng: [
            worker,
            rng.choice(["before", "during", "after"]),
            rng.choice(["step", "step", "x0", "look"]),
            rng.randint(1, 3),
            "SIGKILL",
        ]
        faults = [fault(worker) for worker in rng.sample([0, 1], rng.randint(1, 2))]
        found = bench.sampled(with_workers(graph, 2), faults=faults)
        assert_same(found, wanted)
        assert found[0]["warnings"] and all("is lost" in sentence for sentence in found[0]["warnings"])
        used.append(psutil.Process(bench.server.process.pid).memory_info().rss)
    assert len(bench.server.post("/faults")) <= 2
    assert runs < 20 or max(used[-5:]) < 1.1 * max(used[5:10]), used


def test_a_cluster_that_goes_away(bench, graph):
    """And the server does not go with it; the next run has a new one, on this machine. The cluster says it had GPUs, which nobody uses."""
    with cluster(gpus=1) as address:
        there = lambda count, **inputs: with_workers(graph, count, address=address, **inputs)
        assert f"count is 2, but the Ray cluster at {address} has 1 GPUs" in bench.server.error(bench.entry(there(2)))
        found = bench.sampled(says_which_gpu(there(-1)))
        assert len(found[0]["workers"]) == 1 and found[0]["warnings"] == [] and bench.gpus() == {"0"}
        running = bench.server.submit(there(-1, steps=40, seed=88))
        time.sleep(1)
    entry = bench.server.wait(running)
    assert bench.server.error(entry) is None and "is lost" in report(entry)["warnings"][0]
    found = bench.sampled(with_workers(graph, 1))
    assert_same(found, bench.alone(graph))
    assert len(found[0]["workers"]) == 1 and found[0]["warnings"] == []


def test_a_cluster_that_is_not_there(bench, graph):
    started = time.monotonic()
    error = bench.server.error(bench.entry(with_workers(graph, 1, address="127.0.0.1:9")))
    assert "No Ray cluster answers at 127.0.0.1:9 (" in error and time.monotonic() - started < 10


def test_an_interrupt_reaches_all_and_they_stay(bench, graph):
    bench.sampled(with_workers(graph, 2))
    before = bench.pids()
    running = bench.server.submit(with_workers(graph, 2, steps=400, seed=77))
    time.sleep(2)
    started = time.monotonic()
    bench.server.post("/interrupt")
    entry = bench.server.wait(running)
    assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]] and time.monotonic() - started < 5
    found = bench.sampled(with_workers(graph, 2))
    assert_same(found, bench.alone(graph))
    assert bench.pids() == before and found[0]["warnings"] == []


def test_an_interrupt_before_they_are_ready(bench, graph):
    """They must not wait for orders that never come."""
    wanted, slow = bench.alone(graph), copy.deepcopy(graph)
    bench.sampled(with_workers(graph, 2))
    before = bench.pids()
    slow["92"] = {"class_type": "SlowInWorkers", "inputs": {}}
    slow["2"]["inputs"]["text"] = ["92", 0]
    running = bench.server.submit(with_workers(slow, 2, seed=99))
    time.sleep(1.5)
    bench.server.post("/interrupt")
    bench.server.wait(running)
    assert_same(bench.sampled(with_workers(graph, 2)), wanted)
    assert bench.pids() == before


def test_what_is_not_the_same_there_is_named(bench, graph):
    graph["92"] = {"class_type": "OfThisProcess", "inputs": {}}
    graph["2"]["inputs"]["text"] = ["92", 0]
    found, _ = bench.sampled(with_workers(graph, 2))
    assert len(found["warnings"]) == 2 and all("positive, which comes from CLIPTextEncode (node 2)" in one for one in found["warnings"])


def test_what_is_to_run_once_is_refused_by_name(bench, graph):
    graph["92"] = {"class_type": "PreviewAny", "inputs": {"source": "red tulips"}}
    graph["2"]["inputs"]["text"] = ["92", 0]
    entry = bench.entry(with_workers(graph, 2))
    assert "PreviewAny (node 92) saves or shows something" in bench.server.error(entry)


def test_each_gpu_has_one(bench, graph):
    found = bench.sampled(says_which_gpu(with_workers(graph, -1)))
    assert len(found[0]["workers"]) == 2 and found[0]["warnings"] == [] and bench.gpus() == {"7", "8"}
    assert "no GPU beside the one in use" in bench.server.error(bench.entry(with_workers(graph, -1), gpus=[]))
