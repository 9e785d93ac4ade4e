"""What else a run leaves: the sheet of all candidates, and those that were not chosen."""

import json
from types import SimpleNamespace

import pytest
import tiny
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from group_inference.nodes.group_sampler import GroupReport
from group_inference.nodes.group_sheet import GroupSheet
from group_inference.sampling import kept
from group_inference.sampling.sheet import CHOSEN, SIDE, differences
from PIL import Image
from tiny import group


class Bright:
    name, needs_images = "bright", True

    def score(self, pool):
        return pool.images.flatten(1).mean(1)


@pytest.fixture
def output(tmp_path, monkeypatch):
    """Where sheets are saved, as in a server."""
    monkeypatch.setattr("folder_paths.output_directory", str(tmp_path))
    monkeypatch.setattr(GroupSheet, "hidden", SimpleNamespace(prompt=None, extra_pnginfo=None))
    return tmp_path


def draw(*reports, **more):
    return GroupSheet.execute({f"report{i}": json.dumps(r) for i, r in enumerate(reports)}, **more)[0]


def framed(page):
    """How many pictures of a page have a frame: its color at the upper left of a cell."""
    color = torch.tensor(CHOSEN) / 255
    at = (page - color).abs().amax(2) < 1e-3
    corners = at[1:, 1:] & ~at[:-1, 1:] & ~at[1:, :-1]
    return int(corners.sum())


def test_a_sheet_has_all_candidates_and_frames_the_chosen(flow_model, output):
    _, report = group(flow_model, 7, tiny.empty_latent(flow_model), candidates=7, unary=Bright())
    (page,) = draw(report)
    assert page.shape[1] > 3 * SIDE and page.shape[1] < 4 * SIDE and framed(page) == 2
    (file,) = output.iterdir()
    told = json.loads(Image.open(file).text["group_reports"])
    assert [r["seeds"] for r in told] == [report["seeds"]]
    pages = draw(report, per_page=3)
    assert len(pages) == 3 and [framed(page) for page in pages] == [0, 1, 1]
    # The order is that of leaving: who left first is at the upper left of the first page, as it was then.
    first = next(seed for seed in report["rounds"][0]["seeds"] if seed not in report["rounds"][0]["kept"])
    shown = kept.STORE.by_id(report["pool"]).picture(first, 0, report["rounds"][0]["step"])
    tile = pages[0][12 : 12 + SIDE, 12 : 12 + SIDE].mean((0, 1)) * 255
    assert torch.allclose(tile, shown.float().mean((0, 1)), atol=3)


def test_several_reports_are_compared_by_what_differs(flow_model, output):
    settings = {"candidates": 6, "unary": Bright()}
    reports = [group(flow_model, 7, tiny.empty_latent(flow_model), lambda_score=weight, **settings)[1] for weight in (0.5, 3.0)]
    assert differences(reports) == ["lambda_score 0.5", "lambda_score 3.0"]
    assert draw(*reports, vae=tiny.small_vae()).shape[0] == 1
    with pytest.raises(ValueError, match="17 reports are connected, but one sheet compares up to 16"):
        GroupSheet.execute({f"report{i}": json.dumps(reports[0]) for i in range(16)}, report16=json.dumps(reports[1]))


def test_a_sheet_of_what_is_no_longer_kept_or_no_picture(flow_model, output):
    _, report = group(flow_model, 7, tiny.empty_latent(flow_model))
    kept.STORE.clear()
    with pytest.raises(ValueError, match="no longer kept .* run it again"):
        draw(report)
    with pytest.raises(ValueError, match="holds no report of a group sampler"):
        GroupSheet.execute({"report0": "{}"})
    assert list(output.iterdir()) == []


def test_the_rejected_are_there_with_their_seeds(flow_model):
    _, report = group(flow_model, 7, tiny.empty_latent(flow_model), candidates=6, unary=Bright())
    text, latent, seeds, rejected, rejected_seeds = GroupReport.execute(report=json.dumps(report)).args
    assert json.loads(text)["seeds"] == seeds == report["seeds"] and isinstance(latent, ExecutionBlocker)
    assert sorted(seeds + rejected_seeds) == list(range(7, 13)) and rejected["samples"].shape == (4, 16, 8, 8)
    # The last to leave is the first: what it was predicted to become is nearer to what it becomes.
    stock = [tiny.stock(flow_model, seed, tiny.empty_latent(flow_model)) for seed in rejected_seeds]
    away = [tiny.relative_error(own[None], alone) for own, alone in zip(rejected["samples"], stock, strict=True)]
    assert 1e-3 < away[0] < away[-1]
    kept.STORE.clear()
    *_, rejected, rejected_seeds = GroupReport.execute(report=json.dumps(report)).args
    assert isinstance(rejected, ExecutionBlocker) and "no longer kept" in rejected.message and len(rejected_seeds) == 4


def test_nobody_was_rejected(flow_model):
    _, report = group(flow_model, 7, tiny.empty_latent(flow_model), candidates=2)
    *_, rejected, rejected_seeds = GroupReport.execute(report=json.dumps(report)).args
    assert "all that started were chosen" in rejected.message and isinstance(rejected_seeds, ExecutionBlocker)
    with pytest.raises(ValueError, match="or the report of a Group KSampler alone"):
        GroupReport.execute()
