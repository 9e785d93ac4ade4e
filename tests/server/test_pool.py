"""What a run leaves, through the HTTP API: seeds in, choosing again, the sheet, the rejected."""

import copy
import io
import json

import numpy as np
import pytest
from PIL import Image
from served import images, report, run


def changed(graph, **inputs):
    graph = copy.deepcopy(graph)
    graph["7"]["inputs"] |= inputs
    return graph


@pytest.fixture
def pool(graph):
    """The garden graph with a seed of this file's own."""
    graph["7"]["inputs"] |= {"seed": 500, "starting_candidates": 12, "output_group_size": 3}
    return graph


def other_ids(graph):
    """The same graph as it is after somebody has built it again."""
    link = lambda value: [f"9{value[0]}", value[1]] if isinstance(value, list) else value
    return {f"9{i}": node | {"inputs": {name: link(value) for name, value in node["inputs"].items()}} for i, node in graph.items()}


def test_another_choice_from_the_same_pool_samples_nothing_anew(server, pool):
    first = report(run(server, pool))
    assert first["known"] == 0
    quality = report(run(server, changed(pool, lambda_score=0.01)))
    assert quality["known"] == 12 and quality["model_rows"] < first["model_rows"] / 2
    back = run(server, changed(pool, solver_time_limit=2.0))
    assert report(back)["model_rows"] == 0 and report(back)["seeds"] == first["seeds"]


def test_a_pool_survives_other_prompts_in_the_queue_and_new_node_ids(server, pool):
    graph = changed(pool, seed=520)
    other = changed(pool, seed=540)
    other["2"]["inputs"]["text"] = "yellow roses"
    ids = [server.submit(one) for one in (graph, other, changed(graph, solver_time_limit=2.0))]
    first, between, again = (report(server.wait(i)) for i in ids)
    assert between["known"] == 0 and again["known"] == 12 and again["model_rows"] == 0 and again["seeds"] == first["seeds"]
    elsewhere = run(server, other_ids(changed(graph, solver_time_limit=3.0)))
    assert report(elsewhere, "910")["model_rows"] == 0 and report(elsewhere, "910")["seeds"] == first["seeds"]


def test_the_next_group_and_one_that_had_left(server, pool):
    graph = changed(pool, seed=560)
    first = report(run(server, graph))
    following = report(run(server, changed(graph, banned=", ".join(map(str, first["seeds"])))))
    assert not set(first["seeds"]) & set(following["seeds"]) and following["known"] == 9
    loser = next(seed for seed in first["rounds"][0]["seeds"] if seed not in first["rounds"][0]["kept"])
    pinned = run(server, changed(graph, pinned=str(loser)))
    at = report(pinned)["seeds"].index(loser)
    alone = run(server, changed(graph, seeds=str(loser), output_group_size=1))
    assert report(alone)["model_rows"] == 0  # it was finished for the group before
    assert np.abs(images(server, pinned, "9")[at].astype(int) - images(server, alone, "9")[0]).max() <= 1


def test_a_sheet_and_the_rejected(server, pool):
    graph = changed(pool, seed=580)
    graph["20"] = {
        "class_type": "GroupSheet",
        "inputs": {"reports.report0": ["7", 1], "vae": ["1", 2], "filename_prefix": "sheet", "per_page": 6},
    }
    graph["21"] = {"class_type": "GroupReport", "inputs": {"report": ["7", 1]}}
    graph["22"] = {"class_type": "VAEDecode", "inputs": {"samples": ["21", 3], "vae": ["1", 2]}}
    graph["23"] = {"class_type": "PreviewImage", "inputs": {"images": ["22", 0]}}
    graph["24"] = {"class_type": "PreviewAny", "inputs": {"source": ["21", 4]}}
    entry = run(server, graph)
    first, second = (Image.open(io.BytesIO(server.image(page))) for page in entry["outputs"]["20"]["images"])
    assert json.loads(second.text["group_reports"])[0]["seeds"] == report(entry)["seeds"] and first.size == second.size
    assert len(images(server, entry, "23")) == 9
    rejected = {int(seed) for text in entry["outputs"]["24"]["text"] for seed in str(text).split()}
    assert rejected == set(range(580, 592)) - set(report(entry)["seeds"])


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"pinned": "3", "banned": "1-4"}, "The seed 3 is both pinned and banned"),
        ({"seeds": "three"}, "seeds holds 'three'"),
        ({"pinned": "row 2"}, "the latent is one for all candidates"),
    ],
)
def test_wrong_names_are_said_before_anything_is_sampled(server, pool, inputs, says):
    assert says in server.error(server.wait(server.submit(changed(pool, **inputs))))
