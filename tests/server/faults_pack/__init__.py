"""A custom node pack that makes workers fail at a given moment, and the pool forget; and a node that is another one in each process."""

import os
import signal
import sys
import time
from pathlib import Path

import folder_paths
import torch
from aiohttp import web
from server import PromptServer


def module(name):
    return next(found for key, found in list(sys.modules.items()) if key.endswith(f".{name}"))


class OfThisProcess:
    """Its text is not the same in any two processes."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "text", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def text(self):
        return (f"red tulips {os.getpid()}",)


class SaysWhichGPU(OfThisProcess):
    """Leaves a file that is named after what this process may use."""

    def text(self):
        if module("scaleout.serve").channel:
            (Path(folder_paths.get_output_directory()) / f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES')}").touch()
        return ("red tulips",)


class NoMemoryInWorkers:
    """A model that runs out of memory there with more rows than so many in a call."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("MODEL",), "patched", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "rows": ("INT", {"default": 4, "min": 0})}}

    def patched(self, model, rows):
        model = model.clone()

        def call(apply, args):
            if module("scaleout.serve").channel and len(args["input"]) > rows:
                raise torch.OutOfMemoryError("there is no more")
            return apply(args["input"], args["timestep"], **args["c"])

        model.set_model_unet_function_wrapper(call)
        return (model,)


class SlowInWorkers(OfThisProcess):
    """Takes long where it is executed for another process."""

    def text(self):
        time.sleep(4 if module("scaleout.serve").channel else 0)
        return ("red tulips",)


NODES = NoMemoryInWorkers, OfThisProcess, SaysWhichGPU, SlowInWorkers
NODE_CLASS_MAPPINGS = {node.__name__: node for node in NODES}
faults = []


def strike(worker, when):
    """faults: [number of the worker, "before" or "during" or "after", the order, how many of these, name of the signal]."""
    for fault in faults:
        if fault[0] == worker.number and fault[1:3] == [when, worker.said]:
            fault[3] -= 1
            if fault[3] == 0:
                os.kill(worker.pid, getattr(signal, fault[4]))


@PromptServer.instance.routes.post("/faults")
async def post_faults(request):
    """{"faults", with which the pool is emptied, "patience" in seconds, "answer": what is answered at the next pause, "gpus": what the
    machine is said to have beside the one in use}. Returns the processes of the workers."""
    wanted, workers = await request.json(), module("scaleout.workers")
    if "faults" in wanted:
        module("sampling.kept").STORE.clear()
    faults[:] = wanted.get("faults", [])
    workers.PATIENCE = wanted.get("patience", 120)
    workers.SLOWER = 1
    workers._other_gpus = lambda: wanted.get("gpus", ["7", "8"])
    answer = wanted.get("answer", {})
    module("nodes.group_ksampler").ask = lambda record, now, check: now._replace(**answer)
    wrap(workers._Worker)
    return web.json_response([worker.pid for worker in workers._running])


def assert_plain(value):
    """Other machines do not have this pack in the same folder, and so none of its types."""
    assert type(value).__module__ in ("builtins", "torch"), type(value)
    for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        assert_plain(part)


def wrap(kind):
    if hasattr(kind, "said"):
        return
    kind.said, order, answer = "", kind.order, kind.answer

    def ordered(self, name, **what):
        self.said = name
        strike(self, "before")
        order(self, name, **what)
        strike(self, "during")

    def answered(self):
        found = answer(self)
        assert_plain(found)
        if "error" not in found and self.said:
            strike(self, "after")
        return found

    kind.order, kind.answer = ordered, answered
