"""What the board gets of runs: words to the browser, reports with exact seeds, sheets of pictures, and the report in saved workflows."""

import asyncio
import io
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from aiohttp import web
from group_inference.board import watched
from group_inference.board.routes import _sheet, post_choose
from group_inference.board.saved import REPORT, attach, node_of
from group_inference.board.tiles import columns, tiles
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.sampling import kept
from group_inference.scorers.color import ColorHistogram
from PIL import Image

LARGE = 2**64 - 2


@pytest.fixture
def words(monkeypatch):
    """What a server that seems to run says to the browser "tab"."""
    said = []
    server = SimpleNamespace(client_id="tab", send_sync=lambda event, data, client: said.append((event, dict(data), client)))
    monkeypatch.setattr(watched, "prompt_server", lambda: server)
    monkeypatch.setattr(watched, "get_executing_context", lambda: SimpleNamespace(node_id="12:3"))
    watched._runs.clear()
    return said


def run(model, seed=0, start=8, prune=0.5, **more):
    """A run of a tiny model with pictures of its latents; its report."""
    prompts, latent = (tiny.text(0), tiny.text(1)), tiny.empty_latent(model)
    settings = {"pairwise": ColorHistogram("lab"), "schedule": "paper", **more}
    out = GroupKSampler.execute(model, seed, 4, 1.0, "euler", "simple", *prompts, latent, 1.0, start, 2, prune, **settings)
    return json.loads(out.args[1])


def test_a_run_says_when_there_is_more_to_see(flow_model, words):
    report = run(flow_model)
    assert {(event, client) for event, _, client in words} == {(watched.EVENT, "tab")}
    assert [word["status"] for _, word, _ in words] == ["running"] * (len(words) - 1) + ["done"]
    assert [word["rounds"] for _, word, _ in words] == [*range(len(report["rounds"]) + 1), len(report["rounds"])]
    assert all(word["run"] == report["id"] and word["node"] == "12:3" for _, word, _ in words)
    assert len(json.dumps(words[-1][1])) < 200


def test_one_that_fails_or_is_stopped_is_over(flow_model, words, monkeypatch):
    monkeypatch.setattr("group_inference.sampling.run.GroupRun.select", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(flow_model)
    assert words[-1][1]["status"] == "stopped" and watched.running("tab") == []
    assert torch.is_grad_enabled()  # as it was before


def test_runs_that_nobody_looks_at_say_nothing(flow_model, words, monkeypatch):
    monkeypatch.setattr(watched, "prompt_server", lambda: SimpleNamespace(client_id=None))
    report = run(flow_model)
    assert words == [] and watched.watched(report["id"]).status == "done"


def test_only_the_last_runs_are_there(flow_model, words, monkeypatch):
    monkeypatch.setattr(watched, "MOST", 2)
    ids = [run(flow_model, seed)["id"] for seed in (0, 100, 200)]
    assert [watched.watched(one) is not None for one in ids] == [False, True, True]


def test_seeds_are_texts_for_browsers(flow_model, words):
    report = run(flow_model, seed=LARGE)
    data = watched.watched(report["id"]).as_data()["report"]
    assert data["seeds"] == [str(seed) for seed in report["seeds"]] and data["settings"]["seed"] == str(LARGE)
    assert data["rounds"][0]["seeds"][:3] == [str(LARGE), str(LARGE + 1), "0"]
    assert data["rounds"][-1]["kept"] == data["seeds"] and set(data["rounds"][0]["nearest"]) <= set(data["rounds"][0]["seeds"])
    assert [look["pairwise"] for look in data["rounds"]] == [None] * (len(data["rounds"]) - 1) + [report["rounds"][-1]["pairwise"]]
    assert len(data["rounds"]) > 1 and data["rounds"][-1]["pairwise"]


def test_who_is_nearest(flow_model, words):
    report = run(flow_model, start=3)
    (look,) = [look for look in report["rounds"] if len(look["seeds"]) == 3]
    pool = watched.watched(report["id"]).pool
    pictures = torch.stack([pool.picture(seed, 0, look["step"]) for seed in look["seeds"]]).float() / 255
    assert pictures.shape[0] == 3 and len(look["nearest_distance"]) == 3
    kept_pair = look["pairwise"][0][1]
    places = [look["seeds"].index(seed) for seed in look["kept"]]
    for i, j in (places, places[::-1]):
        assert look["nearest_distance"][i] <= kept_pair + 1e-6
        if look["nearest"][i] == look["seeds"][j]:
            assert look["nearest_distance"][i] == pytest.approx(kept_pair, rel=1e-4)


def test_the_group_beside_plain_seeds(flow_model, words):
    report = run(flow_model)
    group, plain = report["beside"]["group"], report["beside"]["plain"]
    assert group["quality"] is plain["quality"] is None
    assert group["difference"] >= plain["difference"] > 0


def test_sheets_have_the_pictures_in_order(flow_model, words):
    report = run(flow_model)
    found, look = watched.watched(report["id"]), report["rounds"][0]
    sheet = Image.open(io.BytesIO(_sheet(found, [(seed, look["step"]) for seed in look["seeds"]])))
    across = columns(len(look["seeds"]))
    width, height = sheet.width // across, sheet.height // -(-len(look["seeds"]) // across)
    for place, seed in enumerate(look["seeds"]):
        x, y = place % across * width, place // across * height
        shown = np.asarray(sheet.crop((x, y, x + width, y + height)).convert("RGB"), dtype=float).mean((0, 1))
        own = found.pool.picture(seed, 0, look["step"]).float().numpy().mean((0, 1))
        assert np.abs(shown - own).max() < 12
    kept.STORE.clear()
    assert _sheet(found, [(seed, None) for seed in report["seeds"]]) is None


def test_tiles_of_several_shapes_and_some_that_are_gone():
    wide, high = np.full((10, 40, 3), 200, dtype=np.uint8), np.full((40, 10, 3), 50, dtype=np.uint8)
    sheet = Image.open(io.BytesIO(tiles([wide, None, high]))).convert("RGBA")
    assert sheet.size == (80, 80) and sheet.getpixel((40 + 20, 20))[3] == 0  # as large as they are
    assert abs(sheet.getpixel((20, 20))[0] - 200) < 8 and abs(sheet.getpixel((20, 40 + 20))[0] - 50) < 8


@pytest.mark.parametrize(
    ("sent", "switches", "wanted"),
    [(None, [], True), ("default", [], True), ("none", [], False), ("taesd", [], True), ("auto", ["--preview-method", "none"], True),
     ("default", ["--preview-method", "none"], False), (None, ["--preview-method=none"], False)],
)  # fmt: skip
def test_previews_that_the_user_has_turned_off_stay_off(monkeypatch, sent, switches, wanted):
    extra = {} if sent is None else {"preview_method": sent}
    monkeypatch.setattr(watched, "running_prompt", lambda: ({}, extra))
    monkeypatch.setattr("sys.argv", ["main.py", *switches])
    assert watched.previews_wanted() == wanted


def test_the_report_goes_into_the_workflow_of_pictures(flow_model, words):
    node = {"id": 3, "type": "GroupKSampler"}
    workflow = {
        "nodes": [{"id": 12, "type": "block"}, {"id": 3, "type": "Other"}],
        "definitions": {"subgraphs": [{"id": "block", "nodes": [node]}]},
    }
    attach(json.dumps(run(flow_model, seed=LARGE)), SimpleNamespace(extra_pnginfo={"workflow": workflow}, unique_id="12:3"))
    assert node["properties"][REPORT]["rounds"][0]["seeds"][0] == str(LARGE) and "properties" not in workflow["nodes"][1]
    assert node_of(workflow, 3) is workflow["nodes"][1] and node_of(workflow, "12:4") is None and node_of({}, "12:3") is None
    attach(json.dumps(run(flow_model, seed=5)), SimpleNamespace(extra_pnginfo={"workflow": workflow}, unique_id="1"), "12:3")
    assert node["properties"][REPORT]["settings"]["seed"] == "5"
    odd = ({"nodes": [{"id": 1}]}, {"nodes": [{}]}, {"nodes": None}, {"nodes": [3]}, {"definitions": [], "nodes": []}, ["a"], "a", 7)
    assert [node_of(workflow, 1) for workflow in odd] == [{"id": 1}] + [None] * 7
    attach("{}", None)
    attach("{}", SimpleNamespace(extra_pnginfo=None, unique_id="1"))


def asking(run_id, **wanted):
    """The answer of the route to one who asks what would be: (status, seeds or words)."""

    async def decoded():
        return wanted

    request = SimpleNamespace(match_info={"run": run_id}, json=decoded)
    try:
        answer = asyncio.run(post_choose(request))
    except web.HTTPException as e:
        return e.status, e.text
    return answer.status, json.loads(answer.text)["seeds"]


def test_what_would_be_is_what_a_run_does(flow_model, words, monkeypatch):
    """Of each round while it is the newest, and of the last with another lambda and size; nothing of the run changes."""
    said = []

    def ask(event, word, client):
        look = watched.watched(word["run"]).record.rounds[-1:]
        said.extend(asking(word["run"], round=word["rounds"] - 1, lambda_score=1.0, output_group_size=len(one.kept)) for one in look)

    monkeypatch.setattr(watched, "prompt_server", lambda: SimpleNamespace(client_id="tab", send_sync=ask))
    report = run(flow_model, unary=tiny.LastRows(), objective="balanced", lambda_score=1.0)
    assert len(said) == len(report["rounds"]) + 1 > 2
    assert said[:-1] == [(200, [str(seed) for seed in look["kept"]]) for look in report["rounds"]]
    before, last = watched.watched(report["id"]).as_data(), report["rounds"][-1]
    assert before["again"] == len(report["rounds"]) - 1
    code, other = asking(report["id"], round=before["again"], lambda_score=0.0, output_group_size=3)
    best = np.argsort([-score for score in last["unary"]], kind="stable")[:3]
    assert code == 200 and set(other) == {str(last["seeds"][i]) for i in best}
    assert watched.watched(report["id"]).as_data() == before


def asking_of_images(count, **wanted):
    """Of a QIP Selector's choice among so many; the answer, and the seconds that it took."""
    out = QIPSelector.execute([torch.rand(count, 8, 8, 3)], pairwise=[ColorHistogram("lab")])
    started = time.monotonic()
    return *asking(json.loads(out.args[3])["id"], round=0, **wanted), time.monotonic() - started


def test_as_many_as_are_shown_can_be_asked(words, monkeypatch):
    """With a half of them banned, in less time than somebody waits."""
    code, seeds, seconds = asking_of_images(watched.MOST_SHOWN, banned="0-511", output_group_size=5)
    assert code == 200 and len(set(seeds)) == 5 and min(map(int, seeds)) > 511 and seconds < 10
    monkeypatch.setattr(watched, "MOST_SHOWN", 7)
    assert [asking_of_images(count)[0] for count in (7, 8)] == [200, 404]


def test_pins_and_bans_count_when_asking(flow_model, words):
    report = run(flow_model, prune=0.0)
    seeds = [str(seed) for seed in report["rounds"][0]["seeds"]]
    ask = lambda **more: asking(report["id"], round=0, lambda_score=1.0, output_group_size=2, **more)
    assert set(ask(pinned=seeds[0], banned="2-7, 999")[1]) == set(seeds[:2])
    assert ask(pinned="1", banned="0-1")[0] == 400 and ask(banned="0-6")[0] == 400 and ask(pinned="0-2")[0] == 400
    assert ask(pinned="row 3") == (400, "pinned holds 'row 3', but the latent is one for all candidates: name them by their seeds.")


GOOD = {"round": 0, "lambda_score": 1.0, "output_group_size": 2}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [({}, 404), (GOOD | {"round": "x"}, 404), (GOOD | {"round": 99}, 404), (GOOD | {"round": -1}, 404)]
    + [(GOOD | {"lambda_score": weight}, 400) for weight in ("nan", float("inf"), -1.0, None)]
    + [(GOOD | {"output_group_size": size}, 400) for size in (0, 99, 1e400, [])]
    + [(GOOD | {"banned": "all"}, 400)],
)
def test_bad_questions_get_a_sentence(flow_model, words, wanted, code):
    found, text = asking(run(flow_model, prune=0.0)["id"], **wanted)
    assert found == code and text.endswith(".") and len(text) < 200


def test_only_the_newest_run_can_be_asked(flow_model, words):
    old, new = (run(flow_model, seed, prune=0.0) for seed in (0, 100))
    ask = lambda report: asking(report["id"], round=0, lambda_score=1.0, output_group_size=2)[0]
    assert (ask(old), ask(new), ask({"id": "0" * 32})) == (404, 200, 404)
