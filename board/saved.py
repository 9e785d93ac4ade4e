"""A run in the workflow that pictures carry, so that it is there again, and can be done again, when one is dropped into ComfyUI."""

import json

from comfy_api.latest import io

from .watched import for_browsers

# Of a node's properties, see web/board/board.js.
REPORT = "group_report"


def attach(report, hidden, node_id=None):
    """Put a report (JSON) on the node that it is of, in the workflow that the host saves with pictures; outside a server there is none.
    hidden: of the node that runs, with extra_pnginfo and unique_id, which counts without a node_id."""
    node = _saved_node(hidden, node_id or (hidden and hidden.unique_id))
    if node:
        node.setdefault("properties", {})[REPORT] = for_browsers(json.loads(report))


def write_back(changed, hidden, sampler, through=None):
    """Put what was changed at a pause, see pause.Changed, into the inputs in the workflow and the prompt that the host saves, so that they
    give the same with nobody to ask. hidden: of the node that runs, with prompt too; sampler: the class of the node whose inputs these
    are, this one, or that to which its input `through` leads."""
    if not changed or hidden is None:
        return
    prompt, own = hidden.prompt or {}, hidden.unique_id
    if through:
        link = prompt.get(own, {}).get("inputs", {}).get(through)
        own = link[0] if isinstance(link, list) and link else None
    if own in prompt:
        prompt[own].setdefault("inputs", {}).update(changed["inputs"])
    node, names = _saved_node(hidden, own), list(_widgets(sampler))
    values = node and node.get("widgets_values")
    if isinstance(values, list) and len(values) >= len(names):
        values[: len(names)] = [changed["inputs"].get(name, old) for name, old in zip(names, values, strict=False)]


def _saved_node(hidden, node_id):
    workflow = ((hidden and hidden.extra_pnginfo) or {}).get("workflow")
    return workflow and node_of(workflow, node_id)


def _widgets(node):
    """Names of a node's inputs that have a value of their own, in the order in which workflows keep these."""
    for given in node.define_schema().inputs:
        if isinstance(given, io.WidgetInput):
            yield given.id
            if getattr(given, "control_after_generate", None):
                yield "control_after_generate"


def node_of(workflow, node_id):
    """The node of a saved workflow that the host executes by this id, "12:3" being node 3 of the subgraph that node 12 stands for; None
    if it is not there."""
    try:
        subgraphs = {graph["id"]: graph for graph in workflow.get("definitions", {}).get("subgraphs", [])}
        graph, found = workflow, None
        for part in str(node_id).split(":"):
            found = next((node for node in (graph or {}).get("nodes", []) if str(node["id"]) == part), None)
            graph = found and subgraphs.get(found.get("type"))
    except (AttributeError, KeyError, TypeError):  # scripts send anything, and a run that is done is not lost by it
        return None
    return found
