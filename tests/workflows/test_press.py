"""The first press in a browser, both node renderers: a KSampler becomes a group by its menu, and what the node says stays."""

import json

import pytest
import shipped

STOCK = {"model", "seed", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "latent_image", "denoise"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """The garden workflow as it was before there was a group: the host's KSampler, and batch_size 4."""
    graph = shipped.browser_form("garden")
    gone = {n["id"] for n in graph["nodes"] if n["type"] in ("UnaryScorer", "PairwiseScorer", "PreviewAny", "MarkdownNote")}
    (group,) = (n for n in graph["nodes"] if n["type"] == "GroupKSampler")
    (latent,) = (n for n in graph["nodes"] if n["type"] == "EmptySD3LatentImage")
    latent["widgets_values"][-1] = 4
    kept = [i for i, given in enumerate(group["inputs"]) if given["name"] in ("model", "positive", "negative", "latent_image")]
    links = {group["inputs"][i]["link"]: new for new, i in enumerate(kept)}
    group |= {"type": "KSampler", "widgets_values": [77, "fixed", 20, 3.0, "euler", "simple", 1.0], "outputs": group["outputs"][:1]}
    group["inputs"] = [group["inputs"][i] for i in kept]
    group["properties"] = {"Node name for S&R": "KSampler"}
    graph["nodes"] = [n for n in graph["nodes"] if n["id"] not in gone]
    there = [link for link in graph["links"] if link[1] not in gone and link[3] not in gone]
    graph["links"] = [
        [*link[:4], links[link[0]], link[5]] if link[3] == group["id"] else link
        for link in there
        if link[3] != group["id"] or link[0] in links
    ]
    path = tmp_path_factory.mktemp("stock") / "stock.json"
    path.write_text(json.dumps(graph))
    return path


@pytest.fixture(scope="module")
def pressed(in_browser, newest_frontend, stock):
    return in_browser("press.mjs", newest_frontend.address, stock)


@pytest.mark.parametrize("renderer", ["canvas", "vue"])
def test_a_ksampler_becomes_a_group_by_its_menu(pressed, renderer):
    found = pressed[renderer]
    (old,) = (node for node in found["before"].values() if node["class_type"] == "KSampler")
    ((new_id, new),) = ((i, node) for i, node in found["api"].items() if node["class_type"] == "GroupKSampler")
    assert "KSampler" not in [node["class_type"] for node in found["api"].values()] and len(found["api"]) == len(found["before"])
    assert {name: new["inputs"][name] for name in STOCK} == old["inputs"] and new["inputs"]["schedule"] == "budget"
    (decode,) = (node for node in found["api"].values() if node["class_type"] == "VAEDecode")
    assert decode["inputs"]["samples"] == [new_id, 0]


@pytest.mark.parametrize("renderer", ["canvas", "vue"])
def test_what_the_node_says_is_there_after_a_reload(pressed, renderer):
    found = pressed[renderer]
    assert found["said"].startswith("4 of 60 candidates, seeds ") and "No scorers are connected" in found["said"]
    assert "All 4 rows of the latent are the same" in found["said"] and found["again"] == found["said"]


@pytest.mark.parametrize("renderer", ["canvas", "vue"])
def test_pictures_do_not_carry_what_the_run_before_said(pressed, renderer):
    assert len(pressed[renderer]["sent"]) > 5 and all("group_summary" not in names for names in pressed[renderer]["sent"])


@pytest.mark.parametrize("renderer", ["canvas", "vue"])
def test_sockets_have_colours_of_their_own_once_a_page_is_there(pressed, renderer):
    """The frontend's palette comes after the extensions and takes away what they set before."""
    canvas, css = pressed[renderer]["colors"]
    assert canvas == css.strip() == "#b5d334"
