"""A run in the workflow that pictures carry, so that the board is there again when one is dropped into ComfyUI."""

import json

from .watched import for_browsers

# Of a node's properties, see web/board/board.js.
REPORT = "group_report"


def attach(report, hidden, node_id=None):
    """Put a report (JSON) on the node that it is of, in the workflow that the host saves with pictures; outside a server there is none.
    hidden: of the node that runs, with extra_pnginfo and unique_id, which counts without a node_id."""
    workflow = ((hidden and hidden.extra_pnginfo) or {}).get("workflow")
    node = workflow and node_of(workflow, node_id or hidden.unique_id)
    if node:
        node.setdefault("properties", {})[REPORT] = for_browsers(json.loads(report))


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
