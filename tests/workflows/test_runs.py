"""Every shipped workflow through the HTTP API, on tiny models: it runs, and its best is what the stock sampler makes of that seed."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import shipped
from PIL import Image

SIDE, STEPS, CANDIDATES, SIZE = 64, 4, 4, 2
SMALL = {
    "width": SIDE, "height": SIDE, "length": 9, "frames_number": 9, "steps": STEPS, "step": 2, "megapixels": 0.01,
    "starting_candidates": CANDIDATES, "output_group_size": SIZE, "start_percent": 0.0, "schedule": "paper", "sigmas": "1.0, 0.8, 0.5, 0.25, 0.0",
}  # fmt: skip


def small(graph, server):
    """The same graph with few, small pictures of few steps. Links stay."""
    rng = np.random.default_rng(0)
    graph = copy.deepcopy(graph)
    for i, node in graph.items():
        if node["class_type"] == "FluxKontextImageScale":  # to about a megapixel, always
            node |= {"class_type": "ImageScale"}
            node["inputs"] |= {"upscale_method": "area", "crop": "disabled", "width": SIDE, "height": SIDE}
        if node["class_type"] == "TextEncodeQwenImageEditPlus":  # likewise its reference latents
            del node["inputs"]["vae"], node["inputs"]["image1"]
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = f"{i}.png"
            pixels = Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 4), dtype=np.uint8))
            pixels.save(server.folder / "input" / f"{i}.png")
        for name, value in SMALL.items():
            if name in node["inputs"] and not isinstance(node["inputs"][name], list):
                node["inputs"][name] = value
    return graph


def of_class(graph, *kinds):
    return {i: node for i, node in graph.items() if node["class_type"] in kinds}


# What is not there in a graph of stock samplers, and which of its inputs goes straight on.
PASSED_ON = {"GroupSampler": "sampler", "GroupReport": "latent", "RebatchLatents": "latents"}


def alone(graph, seed, row):
    """The graph with the host's sampler alone in the place of the group, for one seed."""
    graph = copy.deepcopy(graph)
    for i in of_class(graph, "PreviewAny"):
        del graph[i]
    for node in of_class(graph, "RandomNoise").values():
        node["inputs"]["noise_seed"] = seed
    for node in of_class(graph, "GroupKSampler").values():
        wanted = ("model", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "latent_image", "denoise")
        node |= {"class_type": "KSampler", "inputs": {"seed": seed, **{name: node["inputs"][name] for name in wanted}}}
    for i, node in of_class(graph, *PASSED_ON).items():
        source = graph.pop(i)["inputs"][PASSED_ON[node["class_type"]]]
        for other in graph.values():
            other["inputs"] |= {name: source for name, value in other["inputs"].items() if isinstance(value, list) and value[0] == i}
    if of_class(graph, "BatchImagesNode"):  # the candidates are pictures of a batch
        (encode,) = of_class(graph, "VAEEncode").values()
        graph["one"] = {"class_type": "ImageFromBatch", "inputs": {"image": encode["inputs"]["pixels"], "batch_index": row, "length": 1}}
        encode["inputs"]["pixels"] = ["one", 0]
    return graph


def run(server, graph):
    """(reports, saved files, decoded pictures or frames of the first video [.., H, W, 3] in 0..255)"""
    decode = min(of_class(graph, "VAEDecode"), key=int)
    graph = {**graph, "seen": {"class_type": "PreviewImage", "inputs": {"images": [decode, 0]}}}
    entry = server.wait(server.submit(graph))
    assert server.error(entry) is None
    pictures = [np.asarray(picture) for picture in server.pictures(entry, "seen")]
    saved = [file for node in of_class(graph, "SaveImage", "SaveVideo") for file in entry["outputs"][node]["images"]]
    texts = [json.loads(entry["outputs"][node]["text"][0]) for node in of_class(graph, "PreviewAny")]
    return texts, saved, np.stack(pictures).astype(int)


def assert_best_equals_stock(server, graph):
    """Returns the best picture."""
    (report,), saved, group = run(server, graph)
    seed, first = report["seeds"][0], report["settings"]["seed"]
    assert len(report["seeds"]) == len(set(report["seeds"])) == len(saved) == SIZE
    # In four steps the first one of some schedules is a tenth of the noise, too early for clip.
    assert [w for w in report["warnings"] if "is not asked before" not in w] == []
    assert report["rounds"][0]["pairwise"] and report["rounds"][-1]["unary"]
    _, _, stock = run(server, alone(graph, seed, seed - first))
    # A random decoder magnifies what rounding leaves.
    assert np.abs(group[: len(stock)] - stock).max() <= 3
    # Else the comparison would hold for any picture.
    assert np.abs(stock - np.roll(stock, 1, axis=-2)).max() > 30
    return stock


@pytest.mark.parametrize("name", [name for name in shipped.NAMES if name != "garden"])
def test_it_runs_and_the_best_equals_the_stock_sampler(server, name):
    assert_best_equals_stock(server, small(shipped.api_form(name), server))


@pytest.mark.parametrize("name", ["sdxl_refiner", "wan22_two_stages"])
def test_each_result_of_two_stages_equals_stock_where_both_draw_noise_by_its_seed(server, name):
    """As in a stock graph with one seed for both: Group Report's seeds go on beside their latents, one by one."""
    graph = small(shipped.api_form(name), server)
    (sampler,), (second,), (report,) = (of_class(graph, kind) for kind in ("KSamplerSelect", "SamplerCustom", "GroupReport"))
    graph[sampler]["inputs"]["sampler_name"] = "dpmpp_2m_sde"
    assert graph[second]["inputs"]["noise_seed"] == 0 and graph[second]["inputs"]["add_noise"] is False
    graph[second]["inputs"]["noise_seed"] = [report, 2]
    (found,), _, group = run(server, graph)
    for seed, pictures in zip(found["seeds"], np.split(group, SIZE), strict=True):
        stock = alone(graph, seed, 0)
        stock[second]["inputs"]["noise_seed"] = seed
        assert np.abs(pictures - run(server, stock)[2]).max() <= 3


def test_the_first_step_at_guidance_1_is_an_option(server):
    graph = small(shipped.api_form("flux_dev"), server)
    (switch,) = of_class(graph, "ComfySwitchNode")
    assert graph[switch]["inputs"]["switch"] is False
    off = assert_best_equals_stock(server, graph)
    graph[switch]["inputs"]["switch"] = True
    assert not np.array_equal(assert_best_equals_stock(server, graph), off)


def test_it_runs_from_the_shell(server, tmp_path):
    """Videos and report end up in the folder that was asked for."""
    size = ["EmptyHunyuanLatentVideo.width=64", "EmptyHunyuanLatentVideo.height=64", "EmptyHunyuanLatentVideo.length=5"]
    group = ["Group KSampler.steps=3", "Group KSampler.schedule=paper", "Group KSampler.starting_candidates=3", "Group KSampler.seed=9"]
    settings = [part for setting in ["Prompt.value=a hare", *size, *group] for part in ("--set", setting)]
    command = [sys.executable, "-m", "devtools.run", shipped.FOLDER / "wan_text_to_video.json", "--server", server.address]
    done = subprocess.run([*command, "--output", tmp_path, *settings], cwd=shipped.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["seeds"]) == 2 and set(report["seeds"]) <= {9, 10, 11}
    assert [path.stat().st_size > 1000 for path in tmp_path.glob("*.mp4")] == [True, True]
