from comfy_api.latest import io

from ..scaleout import serve
from ..scaleout.workers import Workers
from .types import CATEGORY, GroupWorkers


class GroupWorkersNode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GroupWorkers",
            display_name="Group Workers",
            category=CATEGORY,
            description="More GPUs or machines for one group: each samples and looks at a part of the candidates, and the group is the same whoever does. Workers are other processes of ComfyUI; they are started when a group first needs them and stay until ComfyUI ends. Needs the package ray.",
            search_aliases=["group inference", "multi gpu", "multigpu", "distributed", "parallel", "ray", "cluster", "second gpu"],
            inputs=[
                io.Int.Input(
                    "count",
                    default=-1,
                    min=-1,
                    max=64,
                    tooltip="How many workers help. -1: one for each GPU beside the one in use, or for each of the cluster at address. 0: none, and those that run are stopped.",
                ),
                io.Int.Input(
                    "block_size",
                    default=4,
                    min=1,
                    max=64,
                    advanced=True,
                    tooltip="How many candidates share a model call, wherever they are sampled. The same size gives the same bits with any number of workers; a larger one uses a GPU better, a smaller one shares out more evenly.",
                ),
                io.String.Input(
                    "address",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Of a Ray cluster, such as 192.168.1.2:6379 or auto. Empty: workers on this machine. See docs/scaleout.md.",
                ),
            ],
            outputs=[GroupWorkers.Output(display_name="workers")],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs):
        # A worker executes a graph that it knows to sample once more.
        return serve.channel and serve.channel.job["id"]

    @classmethod
    def execute(cls, count, block_size, address="") -> io.NodeOutput:
        return io.NodeOutput(serve.Serving() if serve.channel else Workers(count, address.strip(), block_size))
