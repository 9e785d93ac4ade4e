"""QIP Selector's lists in a real server: what SaveImage, PreviewImage and other nodes make of them."""

import json

import numpy as np
import pytest
from PIL import Image
from served import images, report, run

COLOURS = [(250, 0, 0), (251, 0, 0), (0, 0, 250), (0, 0, 251), (0, 250, 0), (0, 251, 0)]
SCORE = {"class_type": "PairwiseScorer", "inputs": {"scorer": "color", "scorer.space": "lab"}}


@pytest.fixture
def pool(server):
    """Writes pictures of these sizes, two of each colour, into a folder of the server's input; its name."""

    def write(name, sizes):
        folder = server.folder / "input" / name
        folder.mkdir(exist_ok=True)
        for i, (colour, size) in enumerate(zip(COLOURS, sizes, strict=True)):
            Image.new("RGB", size, colour).save(folder / f"{i}.png")
        (folder / "notes.txt").write_text("no picture")
        return name

    return write


def selector(**inputs):
    """A graph with QIP Selector as `pick`, and whatever shows what comes out."""
    settings = {"output_group_size": 3, "lambda_score": 1.5, "objective": "paper", "pairwise": ["score", 0]}
    graph = {"score": SCORE, "pick": {"class_type": "QIPSelector", "inputs": {**settings, **inputs}}}
    graph["save"] = {"class_type": "SaveImage", "inputs": {"images": ["pick", 0], "filename_prefix": "picked"}}
    graph["preview"] = {"class_type": "PreviewImage", "inputs": {"images": ["pick", 0]}}
    graph["10"] = {"class_type": "PreviewAny", "inputs": {"source": ["pick", 3]}}
    graph["scaled"] = {
        "class_type": "ImageScale",
        "inputs": {"image": ["pick", 0], "upscale_method": "area", "width": 16, "height": 8, "crop": "disabled"},
    }
    graph["small"] = {"class_type": "SaveImage", "inputs": {"images": ["scaled", 0], "filename_prefix": "small"}}
    return graph


@pytest.mark.parametrize(
    "sizes", [[(32, 24)] * 6, [(32, 24), (24, 32), (40, 24), (16, 24), (32, 25), (31, 24)]], ids=["of one size", "of several"]
)
def test_a_folder_of_any_sizes_comes_out_as_pictures(server, pool, sizes):
    graph = selector(folder=pool(f"pool{len(set(sizes))}", sizes))
    graph["others"] = {"class_type": "PreviewAny", "inputs": {"source": ["pick", 5]}}
    entry = run(server, graph)
    found = report(entry)
    assert len({i // 2 for i in found["seeds"]}) == 3 and found["files"] == [f"{i}.png" for i in range(6)]
    assert found["warnings"] == ["Left out 1 files that cannot be read as pictures: notes.txt."]
    expected = [(*sizes[i], COLOURS[i]) for i in found["seeds"]]
    for node in ("save", "preview"):
        assert [(picture.shape[1], picture.shape[0], tuple(picture[0, 0])) for picture in images(server, entry, node)] == expected
    small = images(server, entry, "small")
    assert [tuple(picture[0, 0]) for picture in small] == [COLOURS[i] for i in found["seeds"]] and {p.shape for p in small} == {(8, 16, 3)}
    others = sorted(set(range(6)) - set(found["seeds"]))
    assert json.loads(f"[{', '.join(entry['outputs']['others']['text'])}]") in (others, [others])
    assert any("Files: " in line for line in entry["outputs"]["pick"]["group_summary"])


def test_another_file_in_the_folder_is_seen_by_the_next_run(server, pool):
    graph = selector(folder=pool("changing", [(32, 24)] * 6))
    assert len(report(run(server, graph))["files"]) == 6
    Image.new("RGB", (32, 24), (250, 250, 0)).save(server.folder / "input" / "changing" / "6.png")
    assert report(run(server, graph))["files"][-1] == "6.png"


def test_one_batch_stays_one_batch(server, pool):
    """Of images of one size a node that wants a batch gets one."""
    graph = selector(image=["batch", 0])
    for i in range(3):
        graph[f"e{i}"] = {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 2, "color": 0xFF << 8 * i}}
    graph["half"] = {"class_type": "ImageBatch", "inputs": {"image1": ["e0", 0], "image2": ["e1", 0]}}
    graph["batch"] = {"class_type": "ImageBatch", "inputs": {"image1": ["half", 0], "image2": ["e2", 0]}}
    graph["last"] = {"class_type": "ImageFromBatch", "inputs": {"image": ["pick", 0], "batch_index": 2, "length": 1}}
    graph["seen"] = {"class_type": "SaveImage", "inputs": {"images": ["last", 0], "filename_prefix": "last"}}
    graph["rest"] = {"class_type": "PreviewImage", "inputs": {"images": ["pick", 4]}}
    entry = run(server, graph)
    chosen = images(server, entry, "save")
    assert len(chosen) == 3 and len({tuple(picture[0, 0]) for picture in chosen}) == 3
    assert len(images(server, entry, "seen")) == 1 and np.array_equal(images(server, entry, "seen")[0], chosen[2])
    assert len(images(server, entry, "rest")) == 3
    everybody = selector(image=["e0", 0]) | {"e0": graph["e0"], "rest": graph["rest"]}
    everybody["pick"]["inputs"]["output_group_size"] = 2
    entry = run(server, everybody)
    assert len(images(server, entry, "save")) == 2 and "rest" not in entry["outputs"]  # nobody is rejected, and nothing fails


def test_pictures_of_a_sampler_are_called_by_its_seeds(server, graph):
    graph["7"]["inputs"] |= {"steps": 3, "starting_candidates": 4, "seed": 4100}
    graph["pick"] = {
        "class_type": "QIPSelector",
        "inputs": {"image": ["8", 0], "seeds": ["7", 2], "output_group_size": 2, "lambda_score": 1.0, "pairwise": ["6", 0]},
    }
    graph["kept"] = {"class_type": "PreviewAny", "inputs": {"source": ["pick", 6]}}
    graph["seen"] = {"class_type": "PreviewAny", "inputs": {"source": ["pick", 3]}}
    entry = run(server, graph)
    found = report(entry, "seen")
    assert len(found["seeds"]) == 2 and set(found["seeds"]) < set(report(entry)["seeds"]) == {4100, 4101, 4102, 4103}
    assert entry["outputs"]["pick"]["group_summary"][0] == f"2 of 4 images, seeds {found['seeds'][0]}, {found['seeds'][1]}."
    assert json.loads(f"[{', '.join(entry['outputs']['kept']['text'])}]") in (found["seeds"], [found["seeds"]])


@pytest.mark.parametrize("folder", ["../user", "/etc", "no such folder"])
def test_folders_elsewhere_are_refused_in_one_sentence(server, folder):
    error = server.error(server.wait(server.submit(selector(folder=folder))))
    assert f"folder is '{folder}', but there is no such folder in ComfyUI's input or output folder" in error and "\n" not in error
