"""The nodes as the host sees them."""

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import comfy.model_management
import group_inference
import nodes
import pytest
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.nodes.scorers import PairwiseScorer, UnaryScorer
from group_inference.sampling.record import VERSION, report_of
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.residency import Resident

ROOT = Path(__file__).resolve().parents[2]


class Bright:
    name, needs_images = "bright", True

    def score(self, pool):
        return pool.images.mean((1, 2, 3))


def grey(*levels, size=8):
    return torch.stack([torch.full((size, size, 3), float(v)) for v in levels])


def pick(images, size=2, unary=None, pairwise=None, latent=(), weight=1.5, objective="paper", solver="auto", time_limit=1.0):
    out = QIPSelector.execute(
        [images] if torch.is_tensor(images) else images, [size], [weight], [objective], [time_limit], (unary,), (pairwise,), latent,
        solver=(solver,),
    )  # fmt: skip
    images, latent, indices, report, *_ = out.args
    (images,) = images  # of one size
    return images, latent, indices, json.loads(report)


def test_the_selector_picks_and_reports():
    images = grey(0.1, 0.9, 0.5, 0.8)
    samples = torch.arange(4.0).view(4, 1, 1, 1)
    got, latent, indices, report = pick(images, unary=Bright(), latent=[{"samples": samples}])
    assert indices == [1, 3] and torch.equal(got, images[[1, 3]]) and latent["samples"].flatten().tolist() == [1, 3]
    assert report["seeds"] == [1, 3] and report["rounds"][0]["kept"] == [1, 3] and report["rounds"][0]["status"] == "optimal"
    assert report["rounds"][0]["objective"] == pytest.approx(1.7)


def test_the_selector_takes_lists_and_weighs_difference():
    images = [grey(0.9, 0.9), grey(0.1)]
    assert set(pick(images, unary=Bright(), pairwise=ColorHistogram("rgb"))[2]) == {0, 2}
    assert set(pick(images, unary=Bright(), pairwise=ColorHistogram("rgb"), weight=0.0)[2]) == {0, 1}
    for objective in ("balanced", "max_min", "log_det"):
        assert set(pick(images, unary=Bright(), pairwise=ColorHistogram("rgb"), objective=objective)[2]) == {0, 2}


def test_no_outlier_pays_for_twins_under_a_set_objective():
    class Given(Bright):
        def score(self, pool):
            # Twins, one some way off, and one far away from all.
            return torch.tensor([[0, 0.1, 2, 10], [0.1, 0, 2, 10], [2, 2, 0, 8], [10, 10, 8, 0]])

    images = grey(0.1, 0.2, 0.3, 0.4)
    assert set(pick(images, 3, pairwise=Given())[2]) == {0, 1, 3}
    for objective in ("max_min", "log_det"):
        assert set(pick(images, 3, pairwise=Given(), objective=objective)[2]) == {0, 2, 3}


@pytest.mark.parametrize("objective", ["paper", "balanced", "max_min"])
def test_the_solver_can_be_chosen_and_is_named(objective):
    scores = dict(unary=Bright(), pairwise=ColorHistogram("rgb"))
    images = torch.rand(12, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    found = [pick(images, 6, **scores, objective=objective, solver=solver) for solver in ("auto", "highs")]
    assert found[0][2] == found[1][2] and found[1][3]["rounds"][0]["engine"] == found[1][3]["settings"]["solver"] == "highs"
    assert pick(images, 12, **scores)[3]["rounds"][0]["engine"] == "trivial"


def test_a_solver_that_cannot_do_it_is_refused_at_once():
    with pytest.raises(ValueError, match="solver highs cannot solve the objective log_det.* set solver to auto"):
        pick(grey(0, 1, 0.5), unary=Bright(), objective="log_det", solver="highs")


def test_a_long_selection_can_be_interrupted():
    class Random(Bright):
        def score(self, pool):
            noise = torch.rand(len(pool.images), len(pool.images), generator=torch.Generator().manual_seed(0))
            return noise + noise.T

    threading.Timer(0.3, comfy.model_management.interrupt_current_processing).start()
    started = time.perf_counter()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        pick(torch.zeros(256, 8, 8, 3), 64, pairwise=Random(), time_limit=600.0)
    assert time.perf_counter() - started < 20  # far from its ten minutes, on any machine


def test_an_image_without_a_finite_score_is_left_out_by_name(caplog):
    class Undecided(Bright):
        def score(self, pool):
            return super().score(pool).index_fill(0, torch.tensor([1]), float("nan"))

    indices, report = pick(grey(0.1, 0.9, 0.5), 3, unary=Undecided())[2:]
    assert indices == [2, 0] and "Image 1" in report["warnings"][0] and "Image 1" in caplog.text


def test_without_latents_the_latent_output_says_so():
    latent = pick(grey(0, 1), 1, unary=Bright())[1]
    assert isinstance(latent, ExecutionBlocker) and "connect its latent input" in latent.message


@pytest.mark.parametrize(("inputs", "sentence"), [
    ({"images": grey(0, 1), "size": 3, "unary": Bright()}, "output_group_size .3. is larger than the number of images .2."),
    ({"images": grey(0, 1)}, "Nothing is connected to choose by"),
    ({"images": grey(0, float("nan")), "unary": Bright()}, "Image 1 .* NaN"),
    ({"images": grey(0, 1), "unary": Bright(), "latent": [{"samples": torch.zeros(3, 4, 1, 1)}]}, "2 images but 3 latents"),
])  # fmt: skip
def test_the_selectors_errors(inputs, sentence):
    with pytest.raises(ValueError, match=sentence):
        pick(**inputs)


def test_scorer_nodes_say_what_is_missing(tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "group_scorers", ([str(tmp_path)], set()))
    for node, chosen in (
        (UnaryScorer, {"scorer": "clip", "model": "clip-vit-base-patch32", "text": "rose"}),
        (PairwiseScorer, {"scorer": "dinov2", "model": "dinov2-base", "compare": "patches"}),
    ):
        with pytest.raises(FileNotFoundError, match=r"download .*model\.safetensors.* from .*/.* on the Hugging Face hub"):
            node.execute(chosen)


@pytest.mark.parametrize("text", ["", "no report", "{}", "[1]", '{"seeds": [0, 2]}', '{"seeds": 3, "settings": {"seed": 1}}'])
def test_pictures_are_saved_with_the_report_of_a_sampler_only(text):
    with pytest.raises(ValueError, match="holds no report of a group sampler: connect"):
        report_of(text)


def test_weights_go_through_the_hosts_memory_manager():
    resident = Resident(torch.nn.Linear(3, 2))
    out = resident.over(torch.ones(40, 3), lambda net, x: net(x))
    assert out.shape == (40, 2) and resident.patcher in comfy.model_management.loaded_models()
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        resident.over(torch.ones(40, 3), lambda net, x: net(x))


def test_a_scorer_out_of_memory_halves_its_chunk():
    sizes = []

    def sparing(net, x):
        if len(x) > 4:
            raise comfy.model_management.OOM_EXCEPTION("out of memory")
        sizes.append(len(x))
        return net(x)

    assert Resident(torch.nn.Linear(3, 2)).over(torch.ones(10, 3), sparing).shape == (10, 2)
    assert sizes == [4, 4, 2]


def test_schemas_are_as_they_were():
    """Node ids, input names and output order are promises to saved workflows: change the snapshot only by adding."""
    snapshot = ROOT / "tests" / "host" / "object_info.json"
    now = {node.GET_SCHEMA().node_id: plain_schema(node) for node in loaded_nodes()}
    assert now == json.loads(snapshot.read_text()), f"write the new schemas to {snapshot}: {json.dumps(now)}"


def loaded_nodes():
    async def load():
        extension = await group_inference.comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    return asyncio.run(load())


def plain_schema(node):
    """Names, types, defaults and order, without what depends on the machine (installed models) or the host (samplers)."""
    info = node.GET_NODE_INFO_V1()

    def describe(kind, settings):
        if kind.startswith("COMFY_DYNAMICCOMBO"):
            return [kind, {o["key"]: [name for group in o["inputs"].values() for name in group] for o in settings["options"]}]
        return [kind, settings.get("default")]

    inputs = {
        f"{kind} {name}": describe(*value) for kind, group in info["input"].items() if kind != "hidden" for name, value in group.items()
    }
    return json.loads(json.dumps({"inputs": inputs, "outputs": list(zip(info["output"], info["output_name"], strict=True))}))


def test_every_input_has_a_tooltip_and_every_node_a_help_page():
    for node in loaded_nodes():
        info = node.GET_NODE_INFO_V1()
        assert (
            info["description"]
            and info["search_aliases"]
            and info["category"].startswith((nodes.KSampler.CATEGORY, nodes.CheckpointLoaderSimple.CATEGORY))
        )
        page = (ROOT / "web" / "docs" / f"{info['name']}.md").read_text(encoding="utf-8")
        # In the help pane pictures are found beside the page, other pages are not.
        assert f"]({info['name']}.png)" in page and (ROOT / "web" / "docs" / f"{info['name']}.png").exists() and ".md)" not in page
        for group in (group for kind, group in info["input"].items() if kind != "hidden"):
            for name, value in group.items():
                assert value[1].get("tooltip"), f"{info['name']}.{name}"


def test_the_version_stands_in_one_place():
    text = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'^version = "(.+)"$', text, re.MULTILINE).group(1) == VERSION
    listed = re.search(r"^dependencies = \[(.*)\]$", text, re.MULTILINE).group(1)
    assert sorted(re.findall(r'"(.+?)"', listed)) == sorted((ROOT / "requirements.txt").read_text().splitlines())


def test_importing_the_pack_is_fast():
    """Only what the pack adds to a host that is already up; heavy libraries load when a node runs."""
    code = f"""
import sys, time, os
sys.path.insert(0, os.environ["COMFYUI_PATH"])
sys.argv = ["main.py", "--cpu"]
import comfy.options; comfy.options.enable_args_parsing()
import nodes, latent_preview, comfy.samplers, comfy_api.latest
import asyncio, importlib.util
best = None
spec = importlib.util.spec_from_file_location("pack", {str(ROOT / "__init__.py")!r}, submodule_search_locations=[{str(ROOT)!r}])
sys.modules["pack"] = importlib.util.module_from_spec(spec)
before = set(sys.modules)
spec.loader.exec_module(sys.modules["pack"])
asyncio.run(sys.modules["pack"].comfy_entrypoint())
new = {{m.split(".")[0] for m in set(sys.modules) - before}}
print(*sorted(new & {{"highspy", "kornia", "transformers", "diffusers", "open_clip", "huggingface_hub"}}))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[-2].strip() == "", f"imported at start: {out.stdout}"


def test_ruff():
    subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--check", "."], cwd=ROOT, check=True)
