"""The same group from several processes: workers of Ray's beside a real server."""

import copy
import hashlib
import random
import time

import psutil
import pytest
import torch
from faulty import FaultyServer, cluster, with_workers
from served import by_group_sampler, garden, report

SAMPLERS = ("euler", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_2m")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_AUTH_MODE", "token")
        found = FaultyServer(tmp_path_factory.mktemp("workers"))
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


def says_which_gpu(graph):
    graph["92"] = {"class_type": "SaysWhichGPU", "inputs": {}}
    graph["2"]["inputs"]["text"] = ["92", 0]
    return graph


def sha(latents):
    return hashlib.sha256(latents.contiguous().numpy().tobytes()).hexdigest()


def assert_same(found, wanted):
    assert found[0]["seeds"] == wanted[0]["seeds"] and sha(found[1]) == sha(wanted[1])
    assert [(look["seeds"], look["kept"]) for look in found[0]["rounds"]] == [(look["seeds"], look["kept"]) for look in wanted[0]["rounds"]]


def assert_same_with(count, bench, graph, candidates):
    alone, found = bench.alone(graph), bench.sampled(with_workers(graph, count))
    assert_same(found, alone)
    assert found[0]["model_rows"] == alone[0]["model_rows"] and found[0]["warnings"] == []
    assert [one["candidates"] for one in found[0]["workers"]] == candidates


def by(sampler_name, graph):
    graph["7"]["inputs"]["sampler_name"] = sampler_name
    return graph


def in_two_steps(graph):
    """Of 17 candidates, so that the last block is of one, first by latents alone."""
    graph["7"]["inputs"] |= {"schedule": "budget", "pinned": "6", "banned": "3, 12", "sampler_name": "dpmpp_sde"}
    return graph


ANSWERS = [{"lambda_score": 0.0}, {"pinned": "4", "output_group_size": 3}]


def paused(graph):
    graph["7"]["inputs"] |= {"pause_at": 0.4, "sampler_name": "dpmpp_2m"}
    return graph


def test_blocks_change_nothing_but_rounding(bench, graph):
    """Before any worker runs, since without them those are stopped."""
    bench.alone(by_group_sampler(graph))
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
def test_the_same_bits_with_two_workers(bench, graph, sampler_name):
    assert_same_with(2, bench, by(sampler_name, graph), [4, 4])


def test_looks_at_latents_pins_and_bans(bench, graph):
    wanted = bench.alone(in_two_steps(graph))
    assert any(not look["scored"] for look in wanted[0]["plan"]["looks"]) and 6 in wanted[0]["seeds"]
    assert_same(bench.sampled(with_workers(graph, 2)), wanted)


def test_any_sampling_node(bench, graph):
    wanted, found = bench.alone(by_group_sampler(graph)), bench.sampled(with_workers(by_group_sampler(graph), 2))
    assert_same(found, wanted)
    assert len(found[0]["workers"]) == 2


def test_what_is_known_needs_no_workers(bench, graph):
    graph["7"]["inputs"]["seed"] = 40
    bench.sampled(with_workers(graph, 2))
    again = bench.server.wait(bench.server.submit(with_workers(graph, 2, lambda_score=1.0)))
    assert report(again)["known"] == 16 and report(again)["workers"] == []


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
    graph = says_which_gpu(with_workers(graph, -1))
    assert "This machine has no GPU beside the one in use: set the count" in bench.server.error(bench.entry(graph, gpus=[]))
    found = bench.sampled(graph)
    assert len(found[0]["workers"]) == 2 and found[0]["warnings"] == [] and bench.gpus() == {"7", "8"}


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


@pytest.mark.parametrize("answer", ANSWERS, ids=["lambda", "pin"])
def test_a_pause_that_changes_the_run(bench, graph, answer):
    graph = {**paused(graph), "answer": {"class_type": "PreviewAny", "inputs": {"source": str(answer)}}}
    found, wanted = bench.sampled(with_workers(graph, 2), answer=answer), bench.alone(graph, answer=answer)
    assert_same(found, wanted)
    assert found[0]["changed"]["inputs"] == wanted[0]["changed"]["inputs"] == answer
    assert found[0]["model_rows"] == wanted[0]["model_rows"]  # who lives goes on where it is
    assert len(found[0]["workers"]) == 2


def test_workers_that_die_before_and_after_a_pause(bench, graph):
    """In a step, and idle; what the second had is repeated with those that have left since."""
    graph = {**paused(graph), "answer": {"class_type": "PreviewAny", "inputs": {"source": str(ANSWERS[1])}}}
    faults = [[1, "during", "step", 3, "SIGKILL"], [0, "after", "step", 5, "SIGKILL"]]
    found = bench.sampled(with_workers(graph, 2), answer=ANSWERS[1], faults=faults)
    assert_same(found, bench.alone(graph, answer=ANSWERS[1]))
    assert 1 <= len(found[0]["warnings"]) <= 2 and all("is lost" in sentence for sentence in found[0]["warnings"])
    assert "Worker 2 " in found[0]["warnings"][0]  # of the time before the pause


def pytest_generate_tests(metafunc):
    if "faults" in metafunc.fixturenames:
        kills = metafunc.config.getoption("--kills")
        metafunc.parametrize(("sampler_name", "faults"), [DEAD_AND_DUMB, *map(at_random, range(kills))])


DEAD_AND_DUMB = ("euler_ancestral", [[0, "during", "look", 1, "SIGKILL"], [1, "before", "x0", 2, "SIGSTOP"]])


def at_random(number):
    """(sampler, faults): one or both workers are killed at some time."""
    rng = random.Random(number)
    moment = lambda: [rng.choice(["before", "during", "after"]), rng.choice(["step", "step", "x0", "look"]), rng.randint(1, 3)]
    return SAMPLERS[number % len(SAMPLERS)], [[worker, *moment(), "SIGKILL"] for worker in rng.sample([0, 1], rng.randint(1, 2))]


def test_a_worker_that_dies(bench, graph, sampler_name, faults):
    """Of many runs (dev.py test --kills 50) the memory of the server stays as it is: within a tenth."""
    graph = by(sampler_name, graph)
    wanted, found = bench.alone(graph), bench.sampled(with_workers(graph, 2), faults=faults, patience=3)
    assert_same(found, wanted)
    warnings = found[0]["warnings"]
    assert 1 <= len(warnings) <= len(faults) and all("is lost" in sentence for sentence in warnings)
    assert any("stood still" in sentence for sentence in warnings) == any(fault[4] == "SIGSTOP" for fault in faults)
    assert found[0]["model_rows"] >= wanted[0]["model_rows"] and len(bench.pids()) <= 2
    bench.used.append(psutil.Process(bench.server.process.pid).memory_info().rss)
    assert len(bench.used) < 20 or max(bench.used[-5:]) < 1.1 * max(bench.used[5:10]), bench.used


def test_a_cluster_that_is_not_there(bench, graph):
    started = time.monotonic()
    error = bench.server.error(bench.entry(with_workers(graph, 1, address="127.0.0.1:9")))
    assert "No Ray cluster answers at 127.0.0.1:9 (" in error and time.monotonic() - started < 10


def test_a_cluster_that_goes_away(bench, graph):
    """And the server does not go with it; the next run has a new one, on this machine. The cluster says it had GPUs, which nobody uses."""
    with cluster(gpus=1) as address:
        there = lambda count, **inputs: with_workers(graph, count, address=address, **inputs)
        assert f"count is 2, but the Ray cluster at {address} has fewer GPUs (1)" in bench.server.error(bench.entry(there(2)))
        found = bench.sampled(says_which_gpu(there(-1)))
        assert len(found[0]["workers"]) == 1 and found[0]["warnings"] == [] and bench.gpus() == {"0"}
        running = bench.server.submit(there(-1, steps=40, seed=88))
        time.sleep(1)
    entry = bench.server.wait(running)
    assert bench.server.error(entry) is None and "is lost" in report(entry)["warnings"][0]
    found = bench.sampled(with_workers(graph, 1))
    assert_same(found, bench.alone(graph))
    assert len(found[0]["workers"]) == 1 and found[0]["warnings"] == []


@pytest.mark.parametrize("sampler_name", SAMPLERS)
def test_the_same_bits_with_one_worker(bench, graph, sampler_name):
    assert_same_with(1, bench, by(sampler_name, graph), [8])
