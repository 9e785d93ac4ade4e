"""The pack in a real server, through its HTTP API."""

import copy
import io
import json
import os
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import websocket
from PIL import Image
from served import by_group_sampler, images, report, run

ROOT = Path(__file__).resolve().parents[2]


def with_stock_sampler(graph, seed):
    """The same graph with the host's KSampler in place of the group."""
    graph = copy.deepcopy(graph)
    group_only = (
        "unary",
        "pairwise",
        "vae",
        "starting_candidates",
        "output_group_size",
        "pruning_ratio",
        "lambda_score",
        "start_percent",
        "objective",
        "solver_time_limit",
        "solver",
        "schedule",
        "budget",
    )
    graph["7"] = {
        "class_type": "KSampler",
        "inputs": {k: v for k, v in graph["7"]["inputs"].items() if k not in group_only} | {"seed": seed},
    }
    return {k: v for k, v in graph.items() if k not in ("5", "6", "10")}


def test_a_group_of_4_from_16_and_each_winner_alone(server, graph):
    entry = run(server, graph)
    group, record = images(server, entry, "9"), report(entry)
    assert len(group) == 4 and len(record["rounds"]) == 2 and record["model_rows"] == 16 * 2 + 8 + 4 * 5
    assert record["settings"]["unary"] == "clip" and record["settings"]["pairwise"] == "dinov2 patches" and record["warnings"] == []
    for picture, seed in zip(group, record["seeds"], strict=True):
        alone = images(server, run(server, with_stock_sampler(graph, seed)), "9")[0]
        assert np.abs(picture.astype(int) - alone).max() <= 1


def test_the_group_is_more_different_than_the_first_seeds(server, graph):
    first = copy.deepcopy(graph)
    first["7"]["inputs"]["starting_candidates"] = 4  # nobody leaves: the report has the distances of all
    mean = lambda entry: np.sum(report(entry)["rounds"][-1]["pairwise"]) / 12
    assert mean(run(server, graph)) > mean(run(server, first))


def test_the_custom_sampling_graph(server, graph):
    graph["7"]["inputs"]["seed"] = 31  # an older host tells no outputs of what it has done before
    expected = run(server, graph)
    entry = run(server, by_group_sampler(graph))
    assert report(entry)["seeds"] == report(expected)["seeds"]
    assert server.get(f"/group_inference/board/{report(entry)['id']}")["node"] == "7"  # on the node that samples
    for ours, theirs in zip(images(server, entry, "9"), images(server, expected, "9"), strict=True):
        assert np.array_equal(ours, theirs)


def test_the_selector_on_images_from_disk(server, graph):
    """Two red, two blue and a green picture: three of them are most different when all colours are there."""
    folder = server.folder / "input"
    colours = [(250, 0, 0), (251, 0, 0), (0, 0, 250), (0, 0, 251), (0, 250, 0)]
    selector = {}
    for i, colour in enumerate(colours):
        Image.new("RGB", (32, 32), colour).save(folder / f"{i}.png")
        selector[f"load{i}"] = {"class_type": "LoadImage", "inputs": {"image": f"{i}.png"}}
        if i:
            selector[f"batch{i}"] = {
                "class_type": "ImageBatch",
                "inputs": {"image1": [f"batch{i - 1}" if i > 1 else "load0", 0], "image2": [f"load{i}", 0]},
            }
    selector["score"] = {"class_type": "PairwiseScorer", "inputs": {"scorer": "color", "scorer.space": "lab"}}
    selector["pick"] = {
        "class_type": "QIPSelector",
        "inputs": {"image": ["batch4", 0], "output_group_size": 3, "lambda_score": 1.5, "pairwise": ["score", 0]},
    }
    selector["save"] = {"class_type": "SaveImage", "inputs": {"images": ["pick", 0], "filename_prefix": "picked"}}
    selector["10"] = {"class_type": "PreviewAny", "inputs": {"source": ["pick", 3]}}
    entry = run(server, selector)
    chosen = report(entry)["seeds"]
    assert len({i // 2 for i in chosen}) == 3
    assert [tuple(p[0, 0]) for p in images(server, entry, "save")] == [colours[i] for i in chosen]


def test_the_next_four_are_unlike_the_first(server, graph):
    """From the same seeds: connected, the first group's pictures leave others that are farther, as QIP Selector measures both."""
    graph["7"]["inputs"] |= {"objective": "max_min", "steps": 6}
    graph["7"]["inputs"].pop("unary")
    graph["like"] = {"class_type": "DifferentFrom", "inputs": {"pairwise": ["6", 0], "image": ["8", 0]}}
    graph["next"] = {"class_type": "GroupKSampler", "inputs": {**graph["7"]["inputs"], "pairwise": ["like", 0]}}
    graph["next decoded"] = {"class_type": "VAEDecode", "inputs": {"samples": ["next", 0], "vae": ["1", 2]}}
    graph["next report"] = {"class_type": "PreviewAny", "inputs": {"source": ["next", 1]}}
    for name, decoded in (("plain", "8"), ("unlike", "next decoded")):
        settings = {"output_group_size": 4, "lambda_score": 1.0, "objective": "paper"}
        graph[f"{name} pick"] = {"class_type": "QIPSelector", "inputs": {"image": [decoded, 0], "pairwise": ["like", 0], **settings}}
        graph[f"{name} seen"] = {"class_type": "PreviewAny", "inputs": {"source": [f"{name} pick", 3]}}
    entry = run(server, graph)
    first, found = report(entry), report(entry, "next report")
    plain, unlike = (np.mean(report(entry, f"{name} seen")["rounds"][0]["to_fixed"]) for name in ("plain", "unlike"))
    assert unlike > 1.02 * plain and not set(first["seeds"]) & set(found["seeds"])
    assert found["settings"]["different_from"] == 4 and first["settings"]["different_from"] == 0
    last = found["rounds"][-1]
    group = np.mean([d for d, seed in zip(last["to_fixed"], last["seeds"], strict=True) if seed in last["kept"]])
    pool = np.mean(last["to_fixed"])
    assert group > pool
    said = entry["outputs"]["next"]["group_summary"]
    assert f"Difference from what is given {group:.3g} ({pool:.3g} among the last {len(last['seeds'])})" in said[1]


def test_combined_scorers_a_floor_and_a_reference(server, graph):
    graph["7"]["inputs"] |= {"steps": 4, "starting_candidates": 8, "objective": "balanced"}
    model = graph["5"]["inputs"]["scorer.model"]
    graph["one"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0xFF0000}}
    reference = {"scorer": "reference", "scorer.image": ["one", 0], "scorer.by": "clip", "scorer.by.model": model}
    graph["like"] = {"class_type": "UnaryScorer", "inputs": reference}
    graph["floor"] = {"class_type": "QualityFloor", "inputs": {"unary": ["5", 0], "minimum": 1.0}}
    graph["both"] = {
        "class_type": "CombineUnaryScorers",
        "inputs": {"scorers.scorer0": ["floor", 0], "scorers.scorer1": ["like", 0], "weights": "1, 0.5"},
    }
    graph["colour"] = {"class_type": "PairwiseScorer", "inputs": {"scorer": "color", "scorer.space": "lab"}}
    graph["edges"] = {"class_type": "PairwiseScorer", "inputs": {"scorer": "structure", "scorer.compare": "edges"}}
    graph["mixed"] = {
        "class_type": "CombinePairwiseScorers",
        "inputs": {"scorers.scorer0": ["colour", 0], "scorers.scorer1": ["edges", 0], "weights": "1"},
    }
    graph["7"]["inputs"] |= {"unary": ["both", 0], "pairwise": ["mixed", 0]}
    found = report(run(server, graph))
    assert len(found["seeds"]) == 4 and set(found["rounds"][-1]["parts"]) == {"clip", "reference clip"}
    assert found["rounds"][0]["below_floor"] and found["settings"]["pairwise"] == "1 x color lab + 1 x structure edges"


def test_a_node_that_mixes_a_batch_is_known_as_the_server_loads_it(server, graph):
    """The server's modules of such nodes have paths for names."""
    graph["7"]["inputs"] |= {"starting_candidates": 5, "model": ["mixing", 0]}
    graph["mixing"] = {"class_type": "Mahiro", "inputs": {"model": ["1", 0]}}
    entry = run(server, graph)
    (warning,) = report(entry)["warnings"]
    assert warning.startswith("Mahiro does not keep the images of a batch apart: candidates are evaluated one at a time")
    alone = images(server, run(server, with_stock_sampler(graph, report(entry)["seeds"][0])), "9")[0]
    assert np.abs(images(server, entry, "9")[0].astype(int) - alone).max() <= 1


def test_plan_and_warnings_are_shown_on_the_node(server, graph):
    graph["7"]["inputs"] |= {"starting_candidates": 5, "model": ["mixing", 0], "seed": 4242}
    graph["mixing"] = {"class_type": "Mahiro", "inputs": {"model": ["1", 0]}}
    listener, texts = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws?clientId=reader", timeout=60), []
    prompt = server.submit(graph, client_id="reader")
    while True:
        message = listener.recv()
        if isinstance(message, bytes) and int.from_bytes(message[:4], "big") == 3:  # the host's event for progress texts
            length = int.from_bytes(message[4:8], "big")
            texts.append((message[8 : 8 + length].decode(), message[8 + length :].decode()))
        elif isinstance(message, str) and json.loads(message)["type"] in ("execution_success", "execution_error"):
            break
    listener.close()
    found = report(server.wait(prompt))
    words = found["plan"]["in_words"]
    before, *_, after = [text for node, text in texts if node == "7"]
    assert before == f"Plan: {words}" and after.startswith("4 of 5 candidates") and after.endswith(found["warnings"][0])
    assert [text for _, text in texts if text.startswith(f"Plan: {words}\nAfter step") and text.endswith(": looking at 5.")]


def test_interrupt_while_sampling_and_the_next_prompt(server, graph):
    slow = copy.deepcopy(graph)
    slow["7"]["inputs"] |= {"steps": 2000, "seed": 99}
    prompt = server.submit(slow)
    listener = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws?clientId=interrupt", timeout=60)
    started = time.monotonic()
    while (
        isinstance(message := listener.recv(), bytes)  # the plan, in words
        or not (progress := json.loads(message))
        or progress["type"] != "progress_state"
        or not any(n["value"] > 2 for n in progress["data"]["nodes"].values() if n["node_id"] == "7")
    ):
        assert time.monotonic() - started < 60
    server.post("/interrupt")
    entry = server.wait(prompt)
    listener.close()
    assert any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
    graph["7"]["inputs"]["seed"] = 12345
    assert len(images(server, run(server, graph), "9")) == 4


def test_the_live_preview_shows_all_living_candidates(server, graph):
    """With previews on, as the user has set them: the first preview is a grid of 16, wider than any single latent."""
    listener = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws?clientId=watcher", timeout=60)
    graph["7"]["inputs"]["seed"] = 777
    prompt = server.submit(graph, client_id="watcher", extra_data={"preview_method": "latent2rgb"})
    sizes, steps = [], []
    while True:
        message = listener.recv()
        if isinstance(message, bytes):
            if b"\xff\xd8" not in message:  # the plan, in words
                continue
            sizes.append(Image.open(io.BytesIO(message[message.index(b"\xff\xd8") :])).size)
            continue
        message = json.loads(message)
        if message["type"] == "progress" and message["data"]["node"] == "7":
            steps.append((message["data"]["value"], message["data"]["max"]))
        if message["type"] in ("execution_success", "execution_error"):
            break
    listener.close()
    assert server.error(server.wait(prompt)) is None
    assert sizes[0][0] == sizes[0][1] and len(sizes) == 8
    values, whole = [value for value, _ in steps], steps[-1][1]
    assert values == sorted(values) and values[-1] == whole > 8 * 4


def set_input(node, name, value):
    return lambda graph: graph[node]["inputs"].__setitem__(name, value)


def save_pictures_of_another_report(graph):
    graph["one"] = {"class_type": "ImageFromBatch", "inputs": {"image": ["8", 0], "batch_index": 0, "length": 1}}
    graph["9"] = {"class_type": "SaveGroup", "inputs": {"images": ["one", 0], "report": ["7", 1], "filename_prefix": "mine"}}


def without_a_prompt(graph):
    graph["2"]["inputs"]["text"] = graph["5"]["inputs"]["scorer.text"] = ""


def with_easy_cache(graph):
    graph["30"] = {
        "class_type": "EasyCache",
        "inputs": {"model": ["1", 0], "reuse_threshold": 0.2, "start_percent": 0.15, "end_percent": 0.95, "verbose": False},
    }
    graph["7"]["inputs"]["model"] = ["30", 0]


def different_from_a_picture_by_latents(graph):
    graph["one"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}}
    graph["latents"] = {"class_type": "PairwiseScorer", "inputs": {"scorer": "latent"}}
    graph["unlike"] = {"class_type": "DifferentFrom", "inputs": {"pairwise": ["latents", 0], "image": ["one", 0]}}
    graph["7"]["inputs"]["pairwise"] = ["unlike", 0]


@pytest.mark.parametrize(("change", "sentence"), [
    (set_input("7", "output_group_size", 17), "output_group_size (17) is larger than the number of candidates (16): lower it or start with more candidates."),
    (without_a_prompt, "The scorer clip failed: it compares images with a text, and no prompt was found in the graph: fill in its text input."),
    (set_input("5", "scorer.model", "clip-vit-base-patch32"), "download config.json, model.safetensors, preprocessor_config.json, tokenizer.json, tokenizer_config.json from multimodalart/clip-vit-base-patch32"),
    (set_input("6", "scorer.model", "dinov2-base"), "download config.json, model.safetensors, preprocessor_config.json from facebook/dinov2-base"),
    (save_pictures_of_another_report, "There are 1 images but the report names 4 seeds: connect the pictures of that group alone"),
    (with_easy_cache, "remove that node (EasyCache, LazyCache or the like) from the model's path."),
    (different_from_a_picture_by_latents, "The scorer latent failed: it compares latents, and a Different From has none: connect its latent input as well."),
])  # fmt: skip
def test_each_error_is_one_sentence_that_names_the_way_out(server, graph, change, sentence):
    change(graph)
    error = server.error(server.wait(server.submit(graph)))
    assert error is not None and sentence in error and "\n" not in error


def test_a_scorer_that_is_not_there_is_refused_by_the_host(server, graph):
    graph["5"]["inputs"]["scorer.model"] = "no such folder"
    answer = server.post("/prompt", {"prompt": graph})
    assert "no such folder" in json.dumps(answer["node_errors"])


def test_help_pages_are_served(server):
    extensions = [name for name in server.get("/extensions") if "group_inference" in name]
    assert all(name.endswith(".js") for name in extensions)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/extensions/group_inference/docs/GroupKSampler.md") as page:
        assert b"starting_candidates" in page.read()


def test_the_users_folders_are_left_alone(server):
    """Whatever the server wrote is in its own folder."""
    host = Path(os.environ["COMFYUI_PATH"])
    started = server.folder.stat().st_ctime
    assert not [
        p
        for name in ("output", "input", "temp", "user", "models")
        for p in (host / name).rglob("*")
        if p.is_file() and p.stat().st_mtime > started + 1
    ]
