"""bench cost from beginning to end, small."""

import json

import comfy.utils
import pytest
import torch
from group_inference.scorers import weights

from devtools import bench_cost, pools


def test_bench_cost(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pools, "FOLDER", tmp_path)
    monkeypatch.setattr(weights, "search_paths", weights.search_paths)
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_ENABLED", True)
    monkeypatch.setattr(
        "sys.argv", ["bench", "--candidates", "6", "--sizes", "2", "--budgets", "1", "4.5", "--steps", "6", "--repeats", "1"]
    )
    threads = torch.get_num_threads()
    bench_cost.main()
    torch.set_num_threads(threads)
    found = {run["name"]: run for run in json.loads((tmp_path / "cost.json").read_text())["runs"]}
    assert set(found) == {"6 by half", "6 by half, latents alone", "budget 4.5"}
    for run in found.values():
        assert sum(run[part] for part in (*bench_cost.PARTS, "else")) == pytest.approx(1)
        assert run["counted"] == pytest.approx((run["rows"] + run["price"] * run["looks"]) / (2 * 6), rel=1e-4)
        assert run["again_rows"] < run["rows"] and run["again"] > 0
    assert found["budget 4.5"]["counted"] <= 4.5 and found["6 by half, latents alone"]["preview"] < 0.05
    assert "A budget of 1 is too small" in capsys.readouterr().out
