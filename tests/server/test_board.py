"""What a browser asks of runs, through the HTTP API."""

import io
import json
import urllib.error

import numpy as np
import pytest
import websocket
from PIL import Image
from served import garden, images, report, run

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


@pytest.mark.parametrize("folder", ["", "board"])
def test_pictures_that_are_chosen_from(server, folder):
    """A batch and a folder, by their numbers."""
    (server.folder / "input" / "board").mkdir(exist_ok=True)
    colours = [(250, 0, 0), (0, 0, 250), (0, 250, 0), (251, 0, 0), (9, 9, 9)]
    graph = {
        "pick": {
            "class_type": "QIPSelector",
            "inputs": {"output_group_size": 3, "lambda_score": 1.0, "pairwise": ["score", 0], "folder": folder},
        }
    }
    graph["score"] = {"class_type": "PairwiseScorer", "inputs": {"scorer": "color", "scorer.space": "lab"}}
    graph["10"] = {"class_type": "PreviewAny", "inputs": {"source": ["pick", 3]}}
    for i, colour in enumerate(colours):
        Image.new("RGB", (32, 16), colour).save(server.folder / "input" / "board" / f"{i}.png")
        graph[f"load{i}"] = {"class_type": "LoadImage", "inputs": {"image": f"board/{i}.png"}}
        graph[f"batch{i}"] = {
            "class_type": "ImageBatch",
            "inputs": {"image1": [f"batch{i - 1}" if i > 1 else "load0", 0], "image2": [f"load{i}", 0]},
        }
    if not folder:
        graph["pick"]["inputs"]["image"] = ["batch4", 0]
    run_id = report(server.wait(server.submit(graph, client_id="tab")))["id"]
    state = server.get(f"{PATH}/{run_id}")
    chosen = [int(name) for name in state["report"]["seeds"]]
    assert state["status"] == "done" and len(chosen) == 3 and "seed" not in state["report"]["settings"]
    for name, places in (("0", range(5)), ("results", chosen)):
        sheet = Image.open(io.BytesIO(server.get(f"{PATH}/{state['run']}/{name}.webp", raw=True))).convert("RGB")
        columns = -(-(len(places) ** 0.5) // 1)
        width, height = sheet.width / columns, sheet.height / -(-len(places) // columns)
        seen = [sheet.getpixel((int((i % columns + 0.5) * width), int((i // columns + 0.5) * height))) for i in range(len(places))]
        assert all(max(map(abs, np.subtract(one, colours[place]))) < 20 for one, place in zip(seen, places, strict=True))


@pytest.fixture(scope="module")
def run_id(server):
    """Of a run that no other test has asked for: an older host tells no outputs of what it has done before."""
    graph = garden()
    graph["7"]["inputs"]["seed"] = 4200
    return report(run(server, graph))["id"]


@pytest.mark.parametrize("name", ["2", "99", "-1", "x", "1.0", "results.webp", "%2e%2e%2f%2e%2e%2fmain", "9" * 5000])
def test_what_is_no_round(server, run_id, name):
    code, text = missing(server, f"{PATH}/{run_id}/{name}.webp")
    assert code == 404 and "Traceback" not in text


@pytest.mark.parametrize("name", ["none", "0" * 32, "..%2F..%2Fmain.py", "%00", "a" * 5000])
def test_what_is_no_run(server, name):
    for path in (f"{PATH}/{name}", f"{PATH}/{name}/0.webp", f"{PATH}/{name}/results.webp"):
        code, text = missing(server, path)
        assert code in (400, 404) and "Traceback" not in text
