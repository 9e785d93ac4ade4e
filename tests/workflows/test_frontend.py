"""Every shipped workflow in the real frontend, in both node renderers.

`python3 dev.py test tests/workflows/test_frontend.py --write-api` writes the API forms anew, after a workflow was changed in the browser.
"""

import pytest
import shipped
from group_inference.sampling.plan import paper_plan
from PIL import Image


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_opens_without_a_complaint(seen, name):
    for found in seen[name].values():
        assert found["problems"] == [] and found["messages"] == []


@pytest.mark.parametrize("block", shipped.BLOCKS, ids=lambda path: path.stem)
def test_a_block_is_offered_and_opens_without_a_complaint(seen, server, block):
    assert block.stem in [entry["name"] for entry in server.get("/global_subgraphs").values()]
    for found in seen[block.stem].values():
        assert found["problems"] == [] and found["messages"] == []
        kinds = [node["class_type"] for node in found["api"].values()]
        assert sorted(kinds) == ["CLIPTextEncode", "CLIPTextEncode", "EmptyLatentImage", "GroupKSampler", "VAEDecode"]


def nodes_of(graph, other, titled):
    """{id: (class, title if the workflow gives it, inputs)}; without widgets that only one frontend has, PreviewAny's for example."""
    inputs = lambda i: {
        name: value for name, value in graph[i]["inputs"].items() if isinstance(value, list) or name in other.get(i, {}).get("inputs", {})
    }
    return {i: (node["class_type"], node["_meta"]["title"] if i in titled else None, inputs(i)) for i, node in graph.items()}


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_is_what_its_api_form_says(seen, name, request):
    if request.config.getoption("--write-api"):
        shipped.write_api_form(name, seen[name]["vue"]["api"])
    titled = {str(node["id"]) for node in shipped.browser_form(name)["nodes"] if "title" in node}
    kept = shipped.api_form(name)
    for found in seen[name].values():
        assert nodes_of(found["api"], kept, titled) == nodes_of(kept, found["api"], titled)


def note_of(name):
    return "".join(node["widgets_values"][0] for node in shipped.browser_form(name)["nodes"] if node["type"] == "MarkdownNote")


@pytest.mark.parametrize("name", shipped.SAMPLING)
def test_its_note_says_what_it_costs(name):
    nodes = shipped.api_form(name).values()
    inputs = {key: value for node in nodes for key, value in node["inputs"].items() if not isinstance(value, list)}
    sizes = [node["inputs"]["output_group_size"] for node in nodes if "output_group_size" in node["inputs"]]
    kept, steps = sum(sizes), inputs["sigmas"].count(",") if "sigmas" in inputs else inputs["steps"]
    words = "videos" if "codec" in inputs else "pictures"
    # A split schedule chooses on its first part.
    chosen_on = inputs.get("step", steps)
    if inputs["schedule"] == "budget":
        times = (inputs["budget"] * chosen_on + steps - chosen_on) / steps
        assert f"It takes at most {times:g} times the work of {kept} plain {words}, looks at the candidates included." in note_of(name)
        return
    plan = paper_plan(inputs["starting_candidates"], sizes[0], chosen_on, inputs["pruning_ratio"], inputs["start_percent"])
    total = len(sizes) * plan.rows() + kept * (steps - chosen_on)
    # Several groups of the same candidates share what is sampled.
    at_most = "at most " * (len(sizes) > 1)
    assert f"It takes {at_most}{total} steps in all; {kept} plain {words} take {kept * steps}." in note_of(name)


@pytest.mark.parametrize("name", ["batch_of_pictures", "custom_sampling"])
def test_a_workflow_from_before_there_was_a_budget_keeps_the_papers_schedule(seen, name):
    for found in seen[name].values():
        (schedule,) = [node["inputs"]["schedule"] for node in found["api"].values() if "schedule" in node["inputs"]]
        assert schedule == "paper"
    (values,) = [n["widgets_values"] for n in shipped.browser_form(name)["nodes"] if n["type"] in ("GroupKSampler", "GroupSampler")]
    assert "paper" not in values[-1:] and "budget" not in values


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_has_a_picture(name):
    with Image.open(shipped.FOLDER / f"{name}.jpg") as picture:
        assert picture.format == "JPEG" and picture.height == 384


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_says_where_every_model_file_goes(name):
    """The loaders' files are in the host's list of what to fetch, with a link, and in the note."""
    graph = shipped.browser_form(name)
    values = [value for node in graph["nodes"] for value in node.get("widgets_values") or [] if str(value).endswith(".safetensors")]
    models = [model for node in graph["nodes"] for model in node["properties"].get("models", [])]
    note = note_of(name)
    assert {model["name"] for model in models} == set(values)
    for model in models:
        assert model["url"].startswith("https://huggingface.co/") and "/resolve/" in model["url"]
        assert f"[{model['name']}]({model['url']}) → models/{model['directory']}" in note
