"""A run that pauses, in a browser: it asks on the board, waits for who is there, and goes on as its inputs then say."""

import json

import pytest
import shipped
from PIL import Image

STARTED, KEPT = 24, 4


@pytest.fixture(scope="module")
def pause(in_browser, place, pictures_folder):
    server, renderer = place
    return in_browser("pause.mjs", server.address, shipped.FOLDER / "garden.json", pictures_folder, renderer)


def test_a_page_that_is_loaded_anew_finds_it_waiting(pause):
    found = pause["reloaded"]
    assert found["tiles"] == STARTED and 0 < found["left"] < STARTED - KEPT and found["best"] == 0
    assert found["paused"].startswith("Paused: goes on by itself in ")


def test_everybody_can_read_and_reach_it(pause):
    assert pause["reading"]["barred"] == [] and pause["reading"]["judged"] > 3


def test_the_seconds_go_until_somebody_does_something(pause):
    assert pause["after"] < pause["before"] <= 60 and pause["held"] > pause["after"]


def test_what_cannot_be_is_said_and_it_waits_on(pause):
    assert pause["refused"]["about"].startswith("output_group_size (99) is larger than") and pause["refused"]["paused"]


def test_it_goes_on_as_its_inputs_say(pause):
    report, inputs = pause["ended"]["report"], pause["ended"]["inputs"]
    assert pause["pin"] in report["seeds"] and pause["ban"] not in report["seeds"] and len(report["seeds"]) == KEPT
    assert report["changed"]["inputs"] == {"pinned": pause["pin"], "banned": pause["ban"], "lambda_score": 1}
    assert (inputs["pinned"], inputs["banned"], inputs["lambda_score"]) == (pause["pin"], pause["ban"], 1)
    assert pause["ended"]["board"]["best"] == KEPT and pause["ended"]["board"]["paused"] == ""


def test_it_goes_on_by_itself_with_what_was_said(pause):
    assert pause["banned"] and pause["byItself"]["changed"]["inputs"] == {"banned": pause["banned"]}


def test_it_is_stopped_while_it_waits(pause):
    assert pause["interrupted"]["paused"] == "" and "stopped" in pause["interrupted"]["head"]


def test_nothing_complains(pause):
    assert pause["messages"] == [] and pause["other"] == {"board": None, "messages": []}


def test_saved_pictures_carry_what_was_answered(pause, place):
    """And give the same without anybody."""
    server, _ = place
    wanted = pause["ended"]["report"]
    files = sorted((server.folder / "output").rglob("*.png"))
    pictures = [text for text in (Image.open(file).text for file in files) if wanted["id"] in text.get("workflow", "")]
    assert len(pictures) == KEPT
    (node,) = (node for node in json.loads(pictures[0]["workflow"])["nodes"] if node["type"] == "GroupKSampler")
    (prompt,) = (node["inputs"] for node in json.loads(pictures[0]["prompt"]).values() if node["class_type"] == "GroupKSampler")
    assert node["widgets_values"][-4:] == ["", pause["pin"], pause["ban"], 0.3]
    assert (prompt["pinned"], prompt["banned"], prompt["lambda_score"]) == (pause["pin"], pause["ban"], 1)
    entry = server.wait(server.submit(json.loads(pictures[0]["prompt"])))
    text = next(output["text"][0] for output in entry["outputs"].values() if output.get("text", [""])[0].startswith("{"))
    assert [str(seed) for seed in json.loads(text)["seeds"]] == wanted["seeds"]
