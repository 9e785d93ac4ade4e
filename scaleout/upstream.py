"""What leads to a sampler: the part of the graph that workers execute, and how to see that it gave all of them the same."""

import comfyui_version
import nodes
import torch
from comfy_execution.utils import get_executing_context

from ..sampling.fingerprint import Fingerprint
from ..sampling.notices import running_prompt
from ..sampling.record import VERSION

# Of a class of the host's: why a node is not to be executed more than once.
ONCE = {"OUTPUT_NODE": "saves or shows something", "API_NODE": "is paid for each time", "NOT_IDEMPOTENT": "gives something else each time"}


def upstream():
    """(graph in API form, id of the node that is running and samples): that node and all that leads to it. Raises ValueError where other
    processes cannot execute that."""
    running, context = running_prompt(), get_executing_context()
    if running is None:
        raise ValueError("Group Workers execute the graph of a ComfyUI server, and this sampler runs outside one: leave workers out.")
    prompt, node = running[0], context.node_id
    if node not in prompt:
        raise ValueError(
            f"Node {node} was made by another node while it ran, which workers cannot repeat: sample outside that node, or leave workers out."
        )
    found, waiting = {}, [node]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = prompt[name]
            waiting += [value[0] for value in prompt[name]["inputs"].values() if is_link(value, prompt)]
    for name in found.keys() - {node}:
        for mark, why in ONCE.items():
            if getattr(nodes.NODE_CLASS_MAPPINGS[found[name]["class_type"]], mark, False):
                raise ValueError(
                    f"{found[name]['class_type']} (node {name}) {why}, and each worker would do it once more: connect what it gives, saved before, in its place, or leave workers out."
                )
    return found, node


def is_link(value, prompt):
    return isinstance(value, list) and len(value) == 2 and value[0] in prompt


def digests(ground):
    """{what: text}, the same wherever the sampler gets the same: the versions of what computes, each kind of conditioning, the latent
    and its noise, the noise levels, the model."""
    guider, model = ground.guider, ground.guider.model_patcher
    weights = [(name, tuple(p.shape), str(p.dtype)) for name, p in sorted(model.model.named_parameters())]
    patches = [(str(name), [(patch[0], patch[2]) for patch in own]) for name, own in sorted(model.patches.items(), key=repr)]
    parts = {
        "versions": (VERSION, comfyui_version.__version__, torch.__version__),
        "model": (type(model.model).__name__, weights, patches),
        **getattr(guider, "original_conds", {}),
        "latent": (ground.latent_image, ground.denoise_mask),
        "noise": ground.noise,
        "sigmas": ground.sigmas,
    }
    return {name: Portable(part).digest for name, part in parts.items()}


class Portable(Fingerprint):
    """The same in other processes: of objects that are no data only what they are."""

    def _itself(self, value):
        pass


def difference(own, other, prompt, node):
    """What a worker's digests say is not the same there, with the node that it comes from; "" if all is."""
    found = next((name for name, digest in own.items() if other.get(name) != digest), None)
    link = prompt[node]["inputs"].get({"latent": "latent_image"}.get(found, found))
    if found is None or not is_link(link, prompt):
        return found or ""
    return f"{found}, which comes from {prompt[link[0]]['class_type']} (node {link[0]})"
