"""Workers: processes of Ray's with a host in each. They are started when a group first needs them, stay warm, and end with this process."""

import os
import re
import socket
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import comfy.model_management
import torch

from ..sampling.notices import show_on_node
from . import actor
from .crew import Crew

# Seconds: between looks at whether somebody has interrupted; that a worker may stand still in a run; that a host may take to start; that
# one node may take to load; and that a cluster may take to answer, for which Ray would wait long, deaf to interrupts.
TICK, PATIENCE, STARTING, LOADING, REACHING = 0.2, 120, 300, 1800, 5
# Times the longest answer so far.
SLOWER = 10
# The host's arguments that are of the server alone. All but the second ones are followed by a value.
OF_THE_SERVER = (
    "--listen", "--port", "--tls-keyfile", "--tls-certfile", "--temp-directory", "--database-url", "--cuda-device", "--front-end-version",
)  # fmt: skip
SWITCHES = ("--auto-launch", "--windows-standalone-build", "--quick-test-for-ci", "--enable-manager")

# A name or number of a machine, and a port.
ADDRESS = re.compile(r"[\w.-]+:\d{1,5}|\[[\da-fA-F:]+\]:\d{1,5}")
SAY_HOW_MANY = "set the count of Group Workers to how many workers you want."

_running = []


@dataclass(frozen=True)
class Workers:
    """count: on this machine, -1: one for each GPU beside that of this process; with the address of a Ray cluster there, -1: one for each
    of its GPUs. 0: none. block_size: how many candidates share model calls and looks, wherever they are. Raises ValueError for numbers
    and addresses that cannot be, RuntimeError without Ray."""

    count: int = -1
    address: str = ""
    block_size: int = 4

    def __post_init__(self):
        if self.count < -1 or self.block_size < 1:
            raise ValueError(f"count is {self.count} and block_size {self.block_size}: they must be at least -1 and 1.")
        if self.address not in ("", "auto") and not ADDRESS.fullmatch(self.address):
            raise ValueError(
                f"address is {self.address[:100]!r}: it must be that of a Ray cluster, such as 192.168.1.2:6379, or auto, or empty."
            )
        if self.count == -1 and not self.address and not _other_gpus():
            raise ValueError(f"This machine has no GPU beside the one in use: {SAY_HOW_MANY}")
        if self.count:
            _ray()

    @contextmanager
    def engaged(self, group, ground):
        """A Crew's hub for the runs of a sampling context."""
        crew = Crew(ground, self.block_size, self.running)
        try:
            yield crew.hub
        finally:
            crew.dismiss()

    def running(self):
        """Those that run, started if need be; more than are wanted are stopped."""
        key = self.address, tuple(arguments())
        for worker in [w for w in _running if w.key != key]:
            worker.kill()
        if not _running:
            _disconnect()  # what took the last worker may have taken the cluster
        wanted = self._wanted() if self.count else 0
        for worker in _running[wanted:]:
            worker.kill()
        new = [_Worker(number, key) for number in range(wanted) if number not in {w.number for w in _running}]
        if new:
            show_on_node([f"Starting {'a worker' if len(new) == 1 else f'{len(new)} workers'}, which takes a minute and is done once."])
        try:
            while new:
                answer = new[0].answer()
                if "error" in answer:
                    hint = _hint(self.address) if answer.get("gone") else ""
                    raise RuntimeError(f"{new[0].name} did not start: {answer['error']}.{hint}")
                _running.append(new.pop(0).started(**answer))
        finally:  # all, unless one did not start or somebody has interrupted
            for worker in new:
                worker.kill()
        return sorted(_running, key=lambda w: w.number)

    def _wanted(self):
        if not self.address:
            return self.count if self.count > 0 else len(_other_gpus())
        gpus = int(_connected(self.address).cluster_resources().get("GPU", 0))
        if 0 < gpus < self.count:
            raise ValueError(
                f"count is {self.count}, but the Ray cluster at {self.address} has fewer GPUs ({gpus}): lower it, or join more."
            )
        if self.count == -1 and not gpus:
            raise ValueError(f"The Ray cluster at {self.address} has no GPU: {SAY_HOW_MANY}")
        return self.count if self.count > 0 else gpus


class _Worker:
    """One of them, from here. key: what it was started for; received: bytes of tensors that came from it."""

    def __init__(self, number, key):
        ray = _connected(address := key[0])
        self.number, self.key, self.name, self.longest = number, key, f"Worker {number + 1}", 0.0
        self.received = 0
        others = _other_gpus()
        local = {"CUDA_VISIBLE_DEVICES": others[number % len(others)]} if others and not address else {}
        ray.cloudpickle.register_pickle_by_value(actor)
        try:
            gpus = 1 if address and ray.cluster_resources().get("GPU") else 0
            made = ray.remote(concurrency_groups={"aside": 2})(actor.Worker)
            self.actor = made.options(num_cpus=0, num_gpus=gpus, scheduling_strategy="SPREAD").remote()
        finally:
            ray.cloudpickle.unregister_pickle_by_value(actor)
        host = str(Path(comfy.model_management.__file__).resolve().parent.parent)
        self._ask(self.actor.boot, STARTING, host, arguments(), local, torch.get_num_threads())

    def started(self, machine, device, pid):
        self.pid, self.name = pid, f"{self.name} ({machine}, {device}, process {pid})"
        return self

    def begin(self, prompt, node, job):
        self._ask(self.actor.begin, LOADING, prompt, node, job)

    def order(self, name, **what):
        self._ask(self.actor.order, max(PATIENCE, SLOWER * self.longest), name, what)
        self.ordered = True

    def answer(self):
        """To what was asked last; {"error"} of one that has left the run, is gone, or stands still and is stopped. Raises the host's
        exception of an interrupt."""
        ray, started, seen, moved = _ray(), time.monotonic(), None, time.monotonic()
        while True:
            ready, _ = ray.wait([self.asked], timeout=TICK)
            if ready:
                try:
                    answer = ray.get(self.asked)
                except ray.exceptions.RayTaskError as e:  # of what it was to do, in more lines than one
                    self.kill()
                    return {"error": _words(e.cause)}
                except ray.exceptions.RayError as e:
                    self.kill()
                    return {"error": _words(e), "gone": True}
                if self.ordered:  # starting and loading take longer
                    self.longest = max(self.longest, time.monotonic() - started)
                self.received += _bytes(answer)
                return answer
            comfy.model_management.throw_exception_if_processing_interrupted()
            if (pulse := self._pulse()) != seen:
                seen, moved = pulse, time.monotonic()
            if time.monotonic() - moved > self.patience:
                self.kill()
                return {"error": f"it has stood still for {self.patience:.0f} seconds"}

    def _ask(self, method, patience, *arguments):
        self.asked, self.patience = method.remote(*arguments), patience
        self.ordered, self.pulse, self.beat = False, None, None

    def _pulse(self):
        """What it said last that has changed."""
        ray = _ray()
        if self.pulse is None:
            self.pulse = self.actor.pulse.options(concurrency_group="aside").remote()
        elif ray.wait([self.pulse], timeout=0)[0]:
            with suppress(ray.exceptions.RayError):  # the answer says so as well
                self.beat, self.pulse = ray.get(self.pulse), None
        return self.beat

    def end(self):
        self.actor.end.options(concurrency_group="aside").remote()

    def kill(self):
        with suppress(_ray().exceptions.RayError):  # of a cluster that is gone
            _ray().kill(self.actor)
        _running[:] = [w for w in _running if w is not self]


def arguments():
    """The host's, without what is of the server alone."""
    kept, following = [], False
    for word in sys.argv[1:]:
        if word.startswith("--"):
            following = word.split("=")[0] in OF_THE_SERVER
            if not following and word not in SWITCHES:
                kept.append(word)
        elif not following:
            kept.append(word)
    return kept


def _ray():
    # Else Ray ends this process a minute after its cluster has gone.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "1000000")
    try:
        import ray
    except ImportError as e:
        raise RuntimeError(
            'Group Workers need the package ray, which is not installed: pip install "ray>=2.49" into ComfyUI\'s Python and start ComfyUI again, or leave workers out.'
        ) from e
    return ray


def _connected(address):
    """Ray, in the cluster at this address, or on this machine alone."""
    ray = _ray()
    if ray.is_initialized() and _connected.address != address:
        _disconnect()
    if not ray.is_initialized():
        if address:
            _reach(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        try:
            if address:
                ray.init(address=address, **quiet)
            else:
                ray.init(address="local", include_dashboard=False, **quiet)
        except Exception as e:  # of Ray and what it is made of
            where = f"in the cluster at {address}" if address else "on this machine"
            raise RuntimeError(f"Ray does not start {where}: {_words(e)}.{_hint(address)}") from e
        _connected.address = address
    return ray


def _hint(address):
    # All that Ray says of it is that there is no connection, or that a process died.
    return " ComfyUI and the cluster have to be started with the same RAY_AUTH_MODE and token, see docs/scaleout.md." if address else ""


def _reach(address):
    """Raise RuntimeError where nothing answers."""
    if address == "auto":
        return
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHING).close()
    except (OSError, OverflowError, UnicodeError) as e:
        raise RuntimeError(
            f"No Ray cluster answers at {address} ({_words(e)}): start one there by ray start --head, or correct the address."
        ) from e


def _disconnect():
    if "ray" in sys.modules and _ray().is_initialized():
        _ray().shutdown()


def _other_gpus():
    """Names for CUDA_VISIBLE_DEVICES of the GPUs that this process can see and does not use."""
    device = comfy.model_management.get_torch_device()
    if device.type != "cuda":
        return []
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if os.environ.get("CUDA_VISIBLE_DEVICES") else None
    return [seen[i] if seen else str(i) for i in range(torch.cuda.device_count()) if i != (device.index or 0)]


def _bytes(value):
    if torch.is_tensor(value):
        return value.nbytes
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(map(_bytes, inside))


def _words(error):
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
