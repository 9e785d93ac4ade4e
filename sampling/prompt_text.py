"""The text of the prompt that is being sampled by, found in the graph: what text scorers compare with unless they are told otherwise."""

import nodes
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from comfy_execution.utils import get_executing_context

from .notices import running_prompt

# Types of inputs that lead from a sampler or a picture to the prompt, the shortest way first; switches and reroutes take any type.
WAYS = ({"CONDITIONING", "GUIDER"}, {"IMAGE", "LATENT"})
ELSEWHERE = {"MODEL", "CLIP", "VAE"}


def prompt_text(behind=None):
    """That of the node that is running, or of what is connected to its input `behind`; "" where none is found, or outside a server."""
    prompt = running_prompt()
    if prompt is None:
        return ""
    graph, node_id = prompt[0], get_executing_context().node_id
    if behind is not None:
        node_id = graph.get(node_id, {"inputs": {}})["inputs"].get(behind, [""])[0]
    return text_upstream(graph, node_id)


def text_upstream(graph, node_id):
    """What the text encoders say from which a node gets its positive conditioning, or its pictures theirs: without weights, different
    texts with commas between. graph: in API form."""
    return ", ".join(dict.fromkeys(filter(None, map(words, _texts(graph, str(node_id), set())))))


def words(text):
    """A prompt without the weights of its parts."""
    return unescape_important("".join(part for part, _ in token_weights(escape_important(text), 1.0))).strip()


def _texts(graph, node_id, seen):
    if node_id not in graph or node_id in seen:
        return []
    seen.add(node_id)
    if graph[node_id]["class_type"] == "GroupPrompts":
        return []  # none of its prompts is that of all pictures; a sampler finds them in the conditioning
    inputs = graph[node_id]["inputs"]
    types, prompts = _inputs_of(graph[node_id]["class_type"])
    if prompts and "CLIP" in types.values():
        # FLUX and SD3 have the prompt in several inputs: the longest says most.
        return [max((_literal(graph, inputs.get(name, "")) for name in prompts), key=len)]
    links = {name: str(value[0]) for name, value in inputs.items() if isinstance(value, list)}
    if "positive" in links:
        return _texts(graph, links["positive"], seen)
    links.pop("negative", None)
    other = {kind for name in links if (kind := types.get(name)) not in ELSEWHERE}
    for kinds in (*WAYS, other):
        upstream = [link for name, link in links.items() if types.get(name) in kinds]
        if found := [text for link in upstream for text in _texts(graph, link, seen)]:
            return found
    return []


def _literal(graph, value):
    """A text, or that of the node that it comes from, if there is just one in it."""
    if isinstance(value, list):
        texts = [text for text in graph.get(str(value[0]), {"inputs": {}})["inputs"].values() if isinstance(text, str)]
        value = texts[0] if len(texts) == 1 else ""
    return str(value)


def _inputs_of(name):
    """({input: type}, [those that hold texts of several lines]) of a class of nodes."""
    known = nodes.NODE_CLASS_MAPPINGS.get(name)
    declared = known.INPUT_TYPES() if known else {}
    # Other packs declare all kinds of things; a choice among options is the list of them in place of a type.
    found = {name: entry for name, entry in {**declared.get("required", {}), **declared.get("optional", {})}.items() if entry}
    texts = [name for name, (kind, *options) in found.items() if kind == "STRING" and options and options[0].get("multiline")]
    return {name: entry[0] if isinstance(entry[0], str) else "COMBO" for name, entry in found.items()}, texts
