"""How a paused run asks the board: who is asked, what may be answered, and what pictures and prompts carry of it."""

import asyncio
import json
import threading
import time
from types import SimpleNamespace

import comfy.model_management
import pytest
import tiny
from aiohttp import web
from group_inference.board import pause, question, watched
from group_inference.board.routes import _wanted, get_run, post_pause
from group_inference.board.saved import write_back
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.group_sampler import GroupSamplerNode
from group_inference.sampling.pause import Answer

PAGE = {"extra_pnginfo": {"workflow": {"nodes": []}}}


@pytest.fixture
def server(monkeypatch):
    """One that seems to run what the page "tab" has queued; its `said` are words to the page."""
    said = []
    seeming = SimpleNamespace(client_id="tab", said=said, send_sync=lambda event, data, client: said.append(dict(data)))
    monkeypatch.setattr(watched, "prompt_server", lambda: seeming)
    monkeypatch.setattr(watched, "get_executing_context", lambda: SimpleNamespace(node_id="7"))
    monkeypatch.setattr(pause, "running_prompt", lambda: ({}, PAGE))
    monkeypatch.setattr(question, "UNSEEN_SECONDS", 0.5)
    monkeypatch.setattr(question, "SECONDS", 1.0)
    watched._runs.clear()
    return seeming


def run(model, **more):
    return tiny.group(model, 7, tiny.empty_latent(model), candidates=8, size=2, pause_at=0.3, **more)[1]


def route(function, run_id, **sent):
    """(status, what it answers)."""

    async def decoded():
        return sent

    try:
        answer = asyncio.run(function(SimpleNamespace(match_info={"run": run_id}, json=decoded)))
    except web.HTTPException as e:
        return e.status, e.text
    return answer.status, json.loads(answer.text)


class Page(threading.Thread):
    """Does what a page does when it hears that a run is paused: act(run_id)."""

    def __init__(self, server, act):
        super().__init__(daemon=True)
        self.server, self.act, self.answers = server, act, None
        self.start()

    def run(self):
        while not (paused := [word for word in self.server.said if word["status"] == "paused"]):
            time.sleep(0.01)
        self.answers = self.act(paused[0]["run"])


GOOD = {"pinned": "", "banned": "", "lambda_score": 1.5, "output_group_size": 2}


def test_a_page_answers(flow_model, server):
    def act(run_id):
        code, seen = route(get_run, run_id)
        assert code == 200 and seen["status"] == "paused" and 0.5 < seen["seconds_left"] <= 1
        return [route(post_pause, run_id, **GOOD | {"banned": "9"}), route(post_pause, run_id, **GOOD | {"banned": "8"}, go=True)]

    page, changes = Page(server, act), pause.answers()
    report = run(flow_model)
    page.join()
    assert [code for code, _ in page.answers] == [200, 200]
    assert report["changed"]["inputs"] == {"banned": "8"} and report["settings"]["banned"] == [8] and pause.answers() == changes + 1
    first, second = {word["run"]: word for word in server.said}.values()
    assert (first["status"], second["status"]) == ("stopped", "done") and second["run"] == report["id"]
    heard = [word["said"] for word in server.said if word["run"] == first["run"]]
    assert heard == [*range(1, len(heard) + 1)]


def test_what_was_said_last_counts_when_nobody_says_more(flow_model, server):
    page = Page(server, lambda run_id: route(post_pause, run_id, **GOOD | {"banned": "8"}))
    started = time.monotonic()
    assert run(flow_model)["settings"]["banned"] == [8] and page.answers[0] == 200 and time.monotonic() - started >= 1


def test_a_look_alone_holds_it_for_so_long_and_changes_nothing(flow_model, server):
    Page(server, lambda run_id: [(route(get_run, run_id), time.sleep(0.1)) for _ in range(5)])
    started = time.monotonic()
    assert run(flow_model)["changed"] == {} and time.monotonic() - started >= 1


def test_what_is_not_named_stays_as_it_is(flow_model, server):
    """A board names what was changed, and nothing that another node gives."""
    Page(server, lambda run_id: [route(post_pause, run_id, lambda_score=0.5), route(post_pause, run_id, output_group_size=3, go=True)])
    report = run(flow_model, pinned="8", banned="9")
    assert report["changed"]["inputs"] == {"lambda_score": 0.5, "output_group_size": 3}
    assert 8 in report["seeds"] and report["settings"]["banned"] == [9]


@pytest.mark.parametrize("why", ["a script", "a script with an id", "outside a server"])
def test_it_goes_on_at_once_where_no_page_has_queued_it(flow_model, server, monkeypatch, why):
    if why == "a script":
        server.client_id = None
    elif why == "a script with an id":
        monkeypatch.setattr(pause, "running_prompt", lambda: ({}, {}))
    else:
        monkeypatch.setattr(watched, "prompt_server", lambda: None)
    monkeypatch.setattr(question, "UNSEEN_SECONDS", 1e6)
    assert run(flow_model)["changed"] == {} and all(word["status"] != "paused" for word in server.said)


def test_it_goes_on_soon_where_no_board_asks(flow_model, server):
    started = time.monotonic()
    assert run(flow_model)["changed"] == {} and time.monotonic() - started >= 0.5
    assert [word["status"] for word in server.said].count("paused") == 1 and server.said[-1]["status"] == "done"


def test_an_interrupt_ends_the_wait(flow_model, server):
    Page(server, lambda run_id: (route(get_run, run_id), comfy.model_management.interrupt_current_processing()))
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(flow_model)
    assert server.said[-1]["status"] == "stopped" and watched.watched(server.said[-1]["run"]).question is None


@pytest.mark.parametrize(
    "sent",
    [
        {"lambda_score": "x"},
        {"output_group_size": None},
        GOOD | {"output_group_size": 9},
        GOOD | {"pinned": "7-9"},
        GOOD | {"pinned": "all"},
    ]
    + [GOOD | {"lambda_score": weight} for weight in (-1, float("nan"), float("inf"))],
)
def test_what_cannot_be_gets_a_sentence_and_changes_nothing(flow_model, server, sent):
    page = Page(server, lambda run_id: route(post_pause, run_id, **sent, go=True))
    assert run(flow_model)["changed"] == {}
    code, text = page.answers
    assert code == 400 and text.endswith(".") and len(text) < 300


@pytest.mark.parametrize("sent", [[], ["pinned"], "pinned", 7, None])
def test_what_is_no_object_is_refused(sent):
    async def decoded():
        return sent

    with pytest.raises(web.HTTPBadRequest):
        asyncio.run(_wanted(SimpleNamespace(json=decoded), Answer("", "", 1.0, 2)))


def test_a_run_that_is_not_paused_is_asked_nothing(flow_model, server):
    server.client_id = None
    report = run(flow_model)
    assert route(post_pause, report["id"], **GOOD) == (404, "This run is not paused.")
    assert route(post_pause, "0" * 32, **GOOD)[0] == 404


def test_the_host_runs_a_node_again_that_was_told_something_else():
    before = [node.fingerprint_inputs(pause_at=0.5, seed=1) for node in (GroupKSampler, GroupSamplerNode)]
    pause._changes += 1
    assert [node.fingerprint_inputs(pause_at=0.5, seed=1) for node in (GroupKSampler, GroupSamplerNode)] != before
    assert GroupKSampler.fingerprint_inputs(seed=1) == 0 == GroupSamplerNode.fingerprint_inputs(pause_at=0.0)


CHANGED = {"after_step": 3, "inputs": {"banned": "8", "lambda_score": 0.5}}


# As the frontend saves them.
OF_KSAMPLER = [5, "fixed", 20, 3.0, "euler", "simple", 1.0, 24, 4, 0.4, 2.0, 0.15, "balanced", 1.0, "auto", "paper", 4.0, "", "", "9", 0.3]
OF_SAMPLER = [16, 4, 0.5, 2.0, 0.0, "balanced", 1.0, "auto", "budget", 2.4, "", "", "9", 0.3]


def changed(values):
    """With another lambda and ban."""
    return [0.5 if i == values.index(2.0) else "8" if value == "9" else value for i, value in enumerate(values)]


def test_what_was_answered_is_in_the_inputs_that_pictures_carry():
    """Of the node that samples, and of the Group Sampler that another one got."""
    own, sampler = {"id": 3, "widgets_values": [*OF_KSAMPLER, None]}, {"id": 4, "widgets_values": OF_SAMPLER}
    workflow = {"nodes": [own, sampler, {"id": 5}]}
    prompt = {
        "3": {"inputs": {"seed": 5, "lambda_score": 2.0, "banned": "9", "model": ["1", 0]}},
        "4": {"inputs": {"lambda_score": 2.0, "banned": "9"}},
        "5": {"inputs": {"sampler": ["4", 0], "latent": ["2", 0]}},
    }
    hidden = lambda own_id: SimpleNamespace(prompt=prompt, extra_pnginfo={"workflow": workflow}, unique_id=own_id)
    write_back(CHANGED, hidden("3"), GroupKSampler)
    assert own["widgets_values"] == [*changed(OF_KSAMPLER), None] and sampler["widgets_values"] == OF_SAMPLER
    assert prompt["3"]["inputs"] == {"seed": 5, "lambda_score": 0.5, "banned": "8", "model": ["1", 0]}
    wanted = changed(OF_SAMPLER)
    write_back(CHANGED, hidden("5"), GroupSamplerNode, through="sampler")
    assert sampler["widgets_values"] == wanted and prompt["4"]["inputs"] == {"lambda_score": 0.5, "banned": "8"}


@pytest.mark.parametrize("values", [None, {"banned": "9"}, [1], []])
def test_a_workflow_of_another_kind_is_left_alone(values):
    node = {"id": 3, "widgets_values": values}
    write_back(CHANGED, SimpleNamespace(prompt=None, extra_pnginfo={"workflow": {"nodes": [node]}}, unique_id="3"), GroupKSampler)
    assert node["widgets_values"] == values
    for pnginfo, prompt in ((None, None), ({}, {"3": {}}), ({"workflow": []}, {"3": {"inputs": {"sampler": 5}}})):
        hidden = SimpleNamespace(prompt=prompt, extra_pnginfo=pnginfo, unique_id="3")
        write_back(CHANGED, hidden, GroupSamplerNode, through="sampler")
    write_back(CHANGED, None, GroupKSampler)
