"""A custom node pack that makes workers fail at a given moment, and the pool forget; and a node that is another one in each process."""

import os
import signal
import sys
import time

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


class SlowInWorkers(OfThisProcess):
    """Takes long where it is executed for another process."""

    def text(self):
        time.sleep(4 if module("scaleout.serve").channel else 0)
        return ("red tulips",)


NODE_CLASS_MAPPINGS = dict(SlowInWorkers=SlowInWorkers, OfThisProcess=OfThisProcess)
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
    """{"faults", with which the pool is emptied, "patience" in seconds, "answer": what is answered at the next pause}. Returns the
    processes of the workers."""
    wanted, workers = await request.json(), module("scaleout.workers")
    if "faults" in wanted:
        module("sampling.kept").STORE.clear()
    faults[:] = wanted.get("faults", [])
    workers.PATIENCE = wanted.get("patience", 120)
    workers.SLOWER = 1
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
