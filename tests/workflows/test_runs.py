"""Every shipped workflow through the HTTP API, on tiny models: it runs, and its best is what the stock sampler makes of that seed."""

import copy
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import shipped
from group_inference.sampling.wildcards import expanded
from PIL import Image

# So many candidates that of those that a group leaves another one can be chosen.
SIDE, STEPS, CANDIDATES, SIZE = 64, 4, 5, 2
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


# What is not there in a graph of stock samplers: what shows reports and the rejected, and what has an input that goes straight on.
SHOWN = ("PreviewAny", "PreviewImage", "GroupSheet")
PASSED_ON = {"GroupSampler": "sampler", "GroupReport": "latent", "RebatchLatents": "latents"}


def chain(graph, i):
    """[(link to the text encoder, prompt)] of a Group Prompts and those behind it."""
    inputs = graph[i]["inputs"]
    text = graph[inputs["text"][0]]["inputs"]["value"] if isinstance(inputs["text"], list) else inputs["text"]
    return [(inputs["clip"], line) for line in expanded(text, CANDIDATES)] + (chain(graph, inputs["more"][0]) if "more" in inputs else [])


def alone(graph, seed, row):
    """The graph with the host's sampler alone in the place of each group, for one seed."""
    graph = copy.deepcopy(graph)
    variants = {i: chain(graph, i) for i in of_class(graph, "GroupPrompts")}
    for i, prompts in variants.items():
        clip, text = prompts[row % len(prompts)]
        graph[i] = {"class_type": "CLIPTextEncode", "inputs": {"clip": clip, "text": text}}
    for node in of_class(graph, "SaveGroup").values():
        node["class_type"] = "SaveImage"
        del node["inputs"]["report"]
    for i in of_class(graph, *SHOWN):
        del graph[i]
    for node in of_class(graph, "RandomNoise").values():
        node["inputs"]["noise_seed"] = seed
    for node in of_class(graph, "GroupKSampler").values():
        wanted = ("model", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "latent_image", "denoise")
        node |= {"class_type": "KSampler", "inputs": {"seed": seed, **{name: node["inputs"][name] for name in wanted}}}
    for i, node in of_class(graph, *PASSED_ON).items():
        source = node["inputs"].get(PASSED_ON[node["class_type"]])
        if source is None:  # of a report alone
            continue
        del graph[i]
        for other in graph.values():
            other["inputs"] |= {name: source for name, value in other["inputs"].items() if isinstance(value, list) and value[0] == i}
    encoders = [node for node in of_class(graph, "VAEEncode").values() if node["inputs"]["pixels"][0] in of_class(graph, "BatchImagesNode")]
    for encode in encoders:  # the candidates are pictures of a batch
        graph["one"] = {"class_type": "ImageFromBatch", "inputs": {"image": encode["inputs"]["pixels"], "batch_index": row, "length": 1}}
        encode["inputs"]["pixels"] = ["one", 0]
    return graph


def run(server, graph):
    """(reports, saved files, for each report, or once: decoded pictures or frames of videos [.., H, W, 3] in 0..255)"""
    shown = {
        i: node for i, node in of_class(graph, "PreviewAny").items() if graph[node["inputs"]["source"][0]]["class_type"] != "GroupPrompts"
    }
    # Groups are decoded in the order of their reports, and before anything else is.
    seen = {f"seen {i}": i for i in sorted(of_class(graph, "VAEDecode"), key=int)[: max(1, len(shown))]}
    graph = {**graph, **{name: {"class_type": "PreviewImage", "inputs": {"images": [i, 0]}} for name, i in seen.items()}}
    entry = server.wait(server.submit(graph))
    assert server.error(entry) is None
    pictures = [np.stack([np.asarray(picture) for picture in server.pictures(entry, name)]).astype(int) for name in seen]
    saved = [file for node in of_class(graph, "SaveImage", "SaveGroup", "SaveVideo") for file in entry["outputs"][node]["images"]]
    return [json.loads(entry["outputs"][node]["text"][0]) for node in shown], saved, pictures


def assert_best_equals_stock(server, graph):
    """The best of every group. Returns these pictures."""
    reports, saved, groups = run(server, graph)
    assert len(saved) == SIZE * len(reports)
    best = []
    for report, group in zip(reports, groups, strict=True):
        seed, first = report["seeds"][0], report["settings"]["seed"]
        assert len(report["seeds"]) == len(set(report["seeds"])) == SIZE
        # In four steps the first one of some schedules is a tenth of the noise, too early for clip.
        assert [w for w in report["warnings"] if "is not asked before" not in w] == []
        assert report["rounds"][0]["pairwise"] and report["rounds"][-1]["unary"]
        stock = run(server, alone(graph, seed, seed - first))[2][0]
        # A random decoder magnifies what rounding leaves.
        assert np.abs(group[: len(stock)] - stock).max() <= 3
        # Else the comparison would hold for any picture.
        assert np.abs(stock - np.roll(stock, 1, axis=-2)).max() > 30
        best.append(stock)
    return best


@pytest.mark.parametrize("name", shipped.SAMPLING)
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
    (found,), _, (group,) = run(server, graph)
    for seed, pictures in zip(found["seeds"], np.split(group, SIZE), strict=True):
        stock = alone(graph, seed, 0)
        stock[second]["inputs"]["noise_seed"] = seed
        assert np.abs(pictures - run(server, stock)[2][0]).max() <= 3


def on_a_pool_of_its_own(server, name, seed):
    """A workflow whose candidates, 4 for each result, no other run has sampled."""
    graph = small(shipped.api_form(name), server)
    (node,) = of_class(graph, "PrimitiveInt")
    graph[node]["inputs"]["value"] = seed
    for node in of_class(graph, "GroupKSampler").values():
        node["inputs"]["starting_candidates"] = 4 * SIZE
    return graph


def test_the_next_four_are_chosen_from_what_the_first_left(server):
    graph = on_a_pool_of_its_own(server, "next_four", 300)
    (first, following), _, (_, pictures) = run(server, graph)
    assert not set(first["seeds"]) & set(following["seeds"])
    assert first["known"] == 0 and following["known"] == 3 * SIZE and first["pool"] == following["pool"]
    assert following["model_rows"] < following["plan"]["rows"]
    assert following["settings"]["different_from"] == SIZE and min(following["rounds"][-1]["to_fixed"]) > 0
    for seed, picture in zip(following["seeds"], pictures, strict=True):
        assert np.abs(picture - run(server, alone(graph, seed, 0))[2][0]).max() <= 3


def test_like_one_picture_and_unlike_two(server):
    (report,), _, _ = run(server, small(shipped.api_form("like_this_unlike_these"), server))
    assert report["settings"]["unary"] == "reference clip" and report["settings"]["different_from"] == 2


def test_lambdas_are_compared_on_one_pool(server):
    graph = on_a_pool_of_its_own(server, "compare_lambda", 400)
    entry = server.wait(server.submit(graph))
    assert server.error(entry) is None
    files = [page for node in of_class(graph, "GroupSheet") for page in entry["outputs"][node]["images"]]
    compared, (middle,) = (json.loads(Image.open(io.BytesIO(server.image(file))).text["group_reports"]) for file in files)
    assert [run["settings"]["lambda_score"] for run in compared] == [0.5, 2, 8] and compared[1] == middle
    assert sorted(run["known"] for run in compared) == [0, 4 * SIZE, 4 * SIZE] and len({run["pool"] for run in compared}) == 1
    (rejected,) = of_class(graph, "PreviewImage")
    assert len(server.pictures(entry, rejected)) == 3 * SIZE


@pytest.mark.parametrize("name", ["several_prompts", "lora_strengths"])
def test_each_result_has_a_prompt_and_weights_of_its_own(server, name):
    """More of a group than the best, and no other variant gives the same."""
    graph = small(shipped.api_form(name), server)
    (report,), _, (pictures,) = run(server, graph)
    (sampler,) = of_class(graph, "GroupKSampler").values()
    variants, same = len(chain(graph, sampler["inputs"]["positive"][0])), {}
    for seed, picture in zip(report["seeds"], pictures, strict=True):
        own = (seed - report["settings"]["seed"]) % variants
        for row in range(variants):
            same[seed, row] = (np.abs(picture - run(server, alone(graph, seed, row))[2][0]).max() <= 3) == (row == own)
    assert all(same.values()) and len(same) == SIZE * variants


def test_a_folder_is_chosen_from(server):
    graph = shipped.api_form("picture_folder")
    (selector,) = of_class(graph, "QIPSelector").values()
    selector["inputs"] |= {"folder": "many [output]", "output_group_size": 3}
    (server.folder / "output" / "many").mkdir(parents=True)
    colors = np.random.default_rng(0).integers(0, 255, (6, 3))
    for i, color in enumerate(colors):
        Image.new("RGB", (40 + i, 60), tuple(map(int, color))).save(server.folder / "output" / "many" / f"{i}.png")
    entry = server.wait(server.submit(graph))
    assert server.error(entry) is None
    (report,), (saved,) = ([i for i in of_class(graph, kind)] for kind in ("PreviewAny", "SaveImage"))
    report = json.loads(entry["outputs"][report]["text"][0])
    assert report["settings"]["starting_candidates"] == 6 and len(report["files"]) == 6
    sizes = [picture.size for picture in server.pictures(entry, saved)]
    assert sizes == [(40 + i, 60) for i in report["seeds"]] and len(sizes) == 3


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
