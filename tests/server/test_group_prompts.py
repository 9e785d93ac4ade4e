"""Prompts for each candidate through the HTTP API: pictures, report, scores by each picture's own prompt, and what users read."""

import copy
import json

import numpy as np
import pytest
from PIL import Image
from served import images, report, run

LINES = ["red tulips", "blue daisies at night", "white daisies at night", "two roses"]


@pytest.fixture
def prompts(graph):
    """Three lines, and one that is encoded elsewhere."""
    graph["2"] = {
        "class_type": "GroupPrompts",
        "inputs": {"clip": ["1", 1], "text": "red tulips\n \n{blue|white} daisies at night", "more": ["more", 0]},
    }
    graph["more"] = {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "two roses"}}
    graph["lines"] = {"class_type": "PreviewAny", "inputs": {"source": ["2", 1]}}
    graph["5"]["inputs"]["scorer.text"] = ""
    graph["7"]["inputs"]["starting_candidates"] = 8
    return graph


def with_stock_sampler(server, graph, seed, line):
    graph = {i: node for i, node in copy.deepcopy(graph).items() if i in ("1", "2", "3", "4", "7", "8", "9")}
    inputs = server.get("/object_info/KSampler")["KSampler"]["input"]["required"]
    graph["2"] = {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": line}}
    graph["7"] = {"class_type": "KSampler", "inputs": {name: graph["7"]["inputs"][name] for name in inputs} | {"seed": seed}}
    return graph


def test_each_picture_is_its_lines(server, prompts):
    entry = run(server, prompts)
    found = report(entry)
    assert found["prompts"] == {"positive": {str(3 + i): LINES[i % 4] for i in range(8)}} and found["warnings"] == []
    assert entry["outputs"]["lines"]["text"] == LINES
    for picture, seed in zip(images(server, entry, "9"), found["seeds"], strict=True):
        line = LINES[(seed - 3) % 4]
        assert f'{seed} "{line}"' in entry["outputs"]["7"]["group_summary"][1]
        alone = images(server, run(server, with_stock_sampler(server, prompts, seed, line)), "9")[0]
        assert np.abs(picture.astype(int) - alone).max() <= 1


def test_each_picture_is_compared_with_its_own_prompt(server, prompts):
    """In the first look, at the same pictures: those of a line have the scores that they have where that line is the scorer's text."""
    first = lambda: report(run(server, prompts))["rounds"][0]["unary"]
    own = first()
    for i, line in enumerate(LINES):
        prompts["5"]["inputs"]["scorer.text"] = line
        assert own[i::4] == pytest.approx(first()[i::4], rel=1e-5)


def test_saved_pictures_say_their_prompt(server, prompts):
    prompts["9"] = {"class_type": "SaveGroup", "inputs": {"images": ["8", 0], "report": ["7", 1], "filename_prefix": "mine"}}
    entry = server.wait(server.submit(prompts, extra_data={"extra_pnginfo": {"workflow": {"nodes": [{"id": 9}]}}}))
    for file, seed in zip(entry["outputs"]["9"]["images"], report(entry)["seeds"], strict=True):
        with Image.open(server.folder / "output" / file["subfolder"] / file["filename"]) as picture:
            said = json.loads(picture.info["workflow"])["nodes"][0]["properties"]["group_summary"]
        assert f'Its prompt: "{LINES[(seed - 3) % 4]}"' in said and "its prompt alone in the place of Group Prompts" in said


def test_a_stock_sampler_says_where_it_belongs(server, prompts):
    stock = with_stock_sampler(server, prompts, 3, "")
    stock |= {"2": prompts["2"], "more": prompts["more"]}
    error = server.error(server.wait(server.submit(stock)))
    assert "several prompts of Group Prompts" in error and "connect it to Group KSampler" in error and "\n" not in error
