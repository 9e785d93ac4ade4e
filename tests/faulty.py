"""A server whose workers fail when they are told to, and a cluster that is killed."""

import copy
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import ray
import safetensors.torch
from served import report

from devtools.host import host_in_use
from devtools.server import Server


class FaultyServer:
    """With tests/server/faults_pack. plain: what graphs gave without workers; used: memory of the server after runs, by whoever notes it."""

    def __init__(self, folder):
        (folder / "custom_nodes").mkdir()
        shutil.copytree(Path(__file__).parent / "server" / "faults_pack", folder / "custom_nodes" / "faults_pack")
        config = folder / "extra_model_paths.yaml"
        config.write_text(f"workers:\n  base_path: {folder.as_posix()}\n  custom_nodes: custom_nodes\n")
        self.server = Server(host_in_use(), ["--cpu", "--extra-model-paths-config", str(config)], folder / "log.txt")
        self.plain, self.runs, self.used = {}, 0, []

    def entry(self, graph, **told):
        """Of a run from a pool that knows nothing, which the host has not cached."""
        self.server.post("/faults", {"faults": [], **told})
        self.runs += 1
        graph = copy.deepcopy(graph)
        editor(graph)["solver_time_limit"] = 1 + self.runs / 1000
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


def editor(graph):
    """The inputs that say who is chosen: of the Group Sampler, see served.by_group_sampler, or of the Group KSampler."""
    return graph["21" if "21" in graph else "7"]["inputs"]


def with_workers(graph, count, block_size=4, address="", **inputs):
    graph = copy.deepcopy(graph)
    graph["91"] = {"class_type": "GroupWorkers", "inputs": {"count": count, "block_size": block_size, "address": address}}
    editor(graph).update({"workers": ["91", 0], **inputs})
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
