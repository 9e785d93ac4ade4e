"""python3 dev.py bench workers: what a group takes with workers, in a real server on the garden, of what, and how much comes from them; then
the same of more workers, and of larger models, simulated from its parts: rows of the model, looks, the solver, bytes of a look."""

import argparse
import json

import numpy as np

from .host import ROOT, host_in_use
from .server import Server, device_arguments
from .statistics import machine, table

# Bytes a second of a network of 1 and of 10 Gbit/s.
NETWORKS = {"1 Gbit/s": 1.25e8, "10 Gbit/s": 1.25e9}
DRAWS = 50


def measured(server, graph, counts, runs):
    """By count of workers: median seconds of a run, and of its parts, rows, bytes received and the report; each run with seeds of its
    own, and the first not counted, which starts the workers."""
    found = {}
    for count in counts:
        graph["91"] = {"class_type": "GroupWorkers", "inputs": {"count": count, "block_size": 4, "address": ""}}
        took = []
        for number in range(runs + 1):
            graph["7"]["inputs"] |= {"workers": ["91", 0], "seed": 1000 * (100 * count + number)}
            entry = server.wait(server.submit(graph))
            if error := server.error(entry):
                raise RuntimeError(error)
            report = json.loads(entry["outputs"]["10"]["text"][0])
            times = {name: data["timestamp"] for name, data in entry["status"]["messages"]}
            whole = (times["execution_success"] - times["execution_start"]) / 1000
            received = sum(worker["bytes_received"] for worker in report["workers"])
            took.append({"whole": whole, **report["seconds"], "bytes": received, "report": report})
        names = [name for name in took[0] if name != "report"]
        found[count] = {name: float(np.median([one[name] for one in took[1:]])) for name in names} | {"report": took[-1]["report"]}
    return found


def simulated(plan, size, sharers, parts, speed):
    """(seconds of a run, of which the network's) by so many who share, this process one of them: a step takes as long as the one that has
    most rows, a look as long as the one with most candidates, then what comes from the others and the solver. Who survives is drawn,
    mean of DRAWS."""
    rng, total, network = np.random.default_rng(0), 0.0, 0.0
    keeps = {look["step"]: look["keep"] for look in plan["looks"]}
    scored = {look["step"]: look["scored"] for look in plan["looks"]}
    for _ in range(DRAWS):
        home = np.arange(plan["start"]) // size % sharers
        for step in range(plan["steps"]):
            total += parts["row"] * np.bincount(home).max()
            if step in keeps:
                sent = parts["bytes"] * (home > 0).sum() / speed
                total += parts["look"] * np.bincount(home).max() * scored[step] + sent + parts["solver"]
                network += sent
                home = rng.permutation(home)[: keeps[step]]
    return total / DRAWS, network / DRAWS


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench workers", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="how many, measured; 0 samples alone in the same blocks")
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--simulate", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64], help="GPUs that share, simulated")
    parser.add_argument("--row", type=float, help="seconds of one candidate in one step, to simulate a larger model")
    parser.add_argument("--look", type=float, help="seconds of a look at one candidate")
    parser.add_argument("--megabytes", type=float, help="of a look at one candidate: x0, rows of features, a small picture")
    options = parser.parse_args()
    graph = json.loads((ROOT / "workflows" / "api" / "garden.json").read_text(encoding="utf-8"))
    settings = {"schedule": "paper", "starting_candidates": options.candidates, "pruning_ratio": 0.3, "steps": options.steps}
    graph["7"]["inputs"] |= settings
    host = host_in_use()
    with Server(host, device_arguments(host.python), ROOT / "output" / "comfyui.log") as server:
        found = measured(server, graph, options.workers, options.runs)
    rows = [
        [count, f"{one['whole']:.2f}", f"{found[options.workers[0]]['whole'] / one['whole']:.2f}",
         *(f"{one[name]:.2f}" for name in ("model", "preview", "scores", "solver")), f"{one['bytes'] / 2**20:.1f}"]
        for count, one in found.items()
    ]  # fmt: skip
    head = ["workers", "seconds", "faster", "model", "preview", "scores", "solver", "MiB received"]
    print(table(head, rows, f"{options.candidates} candidates, {options.steps} steps, blocks of 4, median of {options.runs} runs"))
    alone, last = found[options.workers[0]], found[options.workers[-1]]
    plan, looked = alone["report"]["plan"], sum(len(look["seeds"]) for look in alone["report"]["rounds"])
    received = last["bytes"] / max(1, sum(worker["candidates"] for worker in last["report"]["workers"])) * plan["start"] / looked
    parts = {
        "row": options.row or alone["model"] / alone["report"]["model_rows"],
        "look": options.look or (alone["preview"] + alone["scores"]) / looked,
        "solver": alone["solver"] / len(alone["report"]["rounds"]),
        "bytes": (options.megabytes or received / 2**20) * 2**20,
    }
    print(
        "\nSimulated: {row:.4f} s a row, {look:.4f} s and {0:.3f} MiB a look at one candidate, {solver:.4f} s a selection.".format(
            parts["bytes"] / 2**20, **parts
        )
    )
    base = simulated(plan, 4, 1, parts, np.inf)[0]
    for name, speed in NETWORKS.items():
        rows = []
        for sharers in options.simulate:
            seconds, network = simulated(plan, 4, sharers, parts, speed)
            rows.append([sharers, f"{seconds:.2f}", f"{base / seconds:.2f}", f"{base / seconds / sharers:.2f}", f"{network / seconds:.3f}"])
        print("\n" + table(["GPUs", "seconds", "faster", "efficiency", "share of network"], rows, f"network of {name}, alone {base:.2f} s"))
    print(", ".join(f"{name} {value}" for name, value in machine().items()))


if __name__ == "__main__":
    main()
