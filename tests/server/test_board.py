"""What a browser asks of runs, through the HTTP API."""

import io
import json
import urllib.error

import pytest
import websocket
from PIL import Image
from served import images, report, run

PATH = "/group_inference/board"


def missing(server, path):
    with pytest.raises(urllib.error.HTTPError) as error:
        server.get(path, raw=True)
    return error.value.code, error.value.read().decode()


def test_a_run_and_its_sheets(server, graph):
    graph["7"]["inputs"]["seed"] = 4100
    tab = websocket.create_connection(f"{server.address.replace('http', 'ws')}/ws?clientId=tab", timeout=60)
    workflow = {"nodes": [{"id": 7, "type": "GroupKSampler"}]}
    entry = server.wait(server.submit(graph, client_id="tab", extra_data={"extra_pnginfo": {"workflow": workflow}}))
    found = report(entry)
    state = server.get(f"{PATH}/{found['id']}")
    assert state["status"] == "done" and state["node"] == "7" and state["report"]["seeds"] == [str(seed) for seed in found["seeds"]]
    for name, count in (("0", 16), ("1", 8), ("results", 4)):
        sheet = Image.open(io.BytesIO(server.get(f"{PATH}/{found['id']}/{name}.webp", raw=True)))
        columns = -(-(count**0.5) // 1)
        assert sheet.format == "WEBP" and sheet.width % columns == 0
    heard = []
    while not heard or heard[-1]["status"] == "running":
        message = tab.recv()
        if isinstance(message, str) and json.loads(message)["type"] == "group_inference.board":
            heard.append(json.loads(message)["data"])
    assert [word["rounds"] for word in heard] == [0, 1, 2, 2] and heard[-1]["run"] == found["id"]
    assert server.get(f"{PATH}?client=tab") == [] == server.get(PATH)
    # Every picture carries it.
    saved = Image.open(io.BytesIO(server.image(entry["outputs"]["9"]["images"][0])))
    (node,) = json.loads(saved.text["workflow"])["nodes"]
    assert node["properties"]["group_report"]["id"] == found["id"]
    assert len(images(server, entry, "9")) == 4


@pytest.mark.parametrize("name", ["2", "99", "-1", "x", "1.0", "results.webp", "%2e%2e%2f%2e%2e%2fmain", "9" * 5000])
def test_what_is_no_round(server, graph, name):
    found = report(run(server, graph))
    code, text = missing(server, f"{PATH}/{found['id']}/{name}.webp")
    assert code == 404 or len(name) > 1000
    assert "Traceback" not in text


@pytest.mark.parametrize("name", ["none", "0" * 32, "..%2F..%2Fmain.py", "%00", "a" * 5000])
def test_what_is_no_run(server, name):
    for path in (f"{PATH}/{name}", f"{PATH}/{name}/0.webp", f"{PATH}/{name}/results.webp"):
        code, text = missing(server, path)
        assert code in (400, 404) and "Traceback" not in text
