"""What a user does first, through the HTTP API: nothing connected, a scorer without a text, pictures that carry their seeds."""

import json

import pytest
from PIL import Image
from served import images, report, run


def test_the_first_press(server, graph):
    """Group KSampler in the place of a KSampler as it stood: nothing else connected, four pictures wanted of the latent."""
    for name in ("unary", "pairwise", "vae"):
        del graph["7"]["inputs"][name]
    graph["4"]["inputs"]["batch_size"] = 4
    graph["7"]["inputs"] |= {"schedule": "budget", "budget": 2.4}
    entry = run(server, graph)
    record = report(entry)
    assert len(images(server, entry, "9")) == 4 < record["plan"]["start"] and record["warnings"] == []
    said = entry["outputs"]["7"]["group_summary"]
    assert said[0].startswith("4 of ") and all(str(seed) in said[0] for seed in record["seeds"]) and said[-2:] == record["notes"]
    assert "rows of the latent are the same" in said[-2] and "No scorers are connected" in said[-1] and len(said) <= 5


def with_custom_sampling(graph):
    inputs = graph["7"]["inputs"]
    of_group = ("starting_candidates", "output_group_size", "pruning_ratio", "lambda_score", "unary", "pairwise", "vae", "start_percent")
    taken = lambda *names: {name: inputs[name] for name in names}
    graph |= {
        "20": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "21": {"class_type": "GroupSampler", "inputs": {"sampler": ["20", 0], **taken(*of_group)}},
        "22": {"class_type": "RandomNoise", "inputs": {"noise_seed": 3}},
        "23": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "denoise": 1.0, **taken("model", "steps")}},
        "24": {"class_type": "CFGGuider", "inputs": taken("model", "positive", "negative", "cfg")},
        "25": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {"noise": ["22", 0], "guider": ["24", 0], "sampler": ["21", 0], "sigmas": ["23", 0], **taken("latent_image")},
        },
        "7": {"class_type": "GroupReport", "inputs": {"sampler": ["21", 0], "latent": ["25", 0]}},
    }
    graph["8"]["inputs"]["samples"], graph["10"]["inputs"]["source"] = ["7", 1], ["7", 0]


@pytest.mark.parametrize("change", [lambda graph: None, with_custom_sampling], ids=["Group KSampler", "Group Sampler"])
def test_a_scorer_without_a_text_compares_with_the_prompt(server, graph, change):
    """The text is not an input of the scorer's node then, so a new prompt has to reach it past the host's cache."""
    change(graph)
    for text in ("red tulips", "two blue roses in a vase"):
        graph["2"]["inputs"]["text"] = text
        graph["5"]["inputs"]["scorer.text"] = text
        told = report(run(server, graph))
        graph["5"]["inputs"]["scorer.text"] = " "
        found = report(run(server, graph))
        assert found["settings"]["prompt"] == text and found["seeds"] == told["seeds"]
        assert found["rounds"][-1]["unary"] == told["rounds"][-1]["unary"]


def test_saved_pictures_carry_their_own_seed(server, graph):
    """In the name, and on the node of the workflow that a dropped picture opens."""
    graph["9"] = {"class_type": "SaveGroup", "inputs": {"images": ["8", 0], "report": ["7", 1], "filename_prefix": "mine/%width%"}}
    workflow = {"nodes": [{"id": 7}, {"id": 9, "properties": {"a": 1}}]}
    entry = server.wait(server.submit(graph, extra_data={"extra_pnginfo": {"workflow": workflow}}))
    files, seeds = entry["outputs"]["9"]["images"], report(entry)["seeds"]
    assert entry["outputs"]["9"]["group_summary"] == ["Saved 4 pictures with their seeds."]
    assert [file["filename"].split("_")[:2] for file in files] == [["64", f"seed{seed}"] for seed in seeds]
    for file, seed in zip(files, seeds, strict=True):
        with Image.open(server.folder / "output" / file["subfolder"] / file["filename"]) as picture:
            first, second = json.loads(picture.info["workflow"])["nodes"]
        assert first["properties"]["group_report"]["seeds"] == [str(one) for one in seeds] and second["properties"]["a"] == 1
        assert second["properties"]["group_summary"].startswith(f"This picture: seed {seed}, ")
