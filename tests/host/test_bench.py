"""bench groups and bench previews from beginning to end, small."""

import json

import numpy as np
import pytest
import torch
from group_inference.scorers import weights

from devtools import bench_groups, bench_previews, bench_results, policies, pools, replay


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(pools, "FOLDER", tmp_path)
    monkeypatch.setattr(weights, "search_paths", weights.search_paths)
    monkeypatch.setattr(replay, "COUNTS", (1, 8))


def run(module, monkeypatch, arguments):
    monkeypatch.setattr("sys.argv", ["bench", *arguments.split()])
    threads = torch.get_num_threads()
    module.main()
    torch.set_num_threads(threads)


def test_bench_groups(monkeypatch, tmp_path, capsys):
    arguments = "--prompts 2 --candidates 8 --sizes 2 --steps 5 --search 3 --rivals 4 --drafts 2 --pink 0.4 --schedule"
    free = "8: 20% 4 latent, 60% 2 clip+dinov2"
    monkeypatch.setattr("sys.argv", ["bench", *arguments.split(), free])
    bench_groups.main()
    found = json.loads((tmp_path / "groups_varied_guidance3_5steps.json").read_text())
    assert (tmp_path / "groups_varied_guidance3_5steps_2.png").exists()
    groups = found["groups of"]["2"]
    assert groups[free]["rows"] == [8 + 4 + 4 + 2 + 2] * 3 and groups[free]["looks"] == [4] * 3
    assert groups["plain 2"]["rows"][0] == 10 and groups["best 2 of 8 finished"]["rows"][0] == 40
    # Nothing that the pool holds is jointly better than the best of the whole pool.
    for name, figures in groups.items():
        if found["families"][name] not in ("rivals", "pink noise"):
            assert figures["objective"][0] <= groups["best 2 of 8 finished"]["objective"][0] + 1e-6, name
    assert {"CADS, s 0.1", "particle guidance 30", "guidance interval 0.19..1.61", "guidance 1"} <= set(groups)
    same = bench_groups.SAME_SEEDS
    assert groups[same]["gain vendi"] == [0, 0, 0] and groups["plain 2"]["gain vendi"] == [0, 0, 0]
    pink, white = (np.array(found["by prompt"]["2"][f"8 by half from 0{noise}"]["pixels"]) for noise in (", pink 0.4", " (paper)"))
    assert groups["8 by half from 0, pink 0.4"]["gain pixels"][0] == pytest.approx((pink - white).mean()) and (pink != white).any()
    assert groups["guidance 1"]["rows"][0] == 5 and len(found["prompts"]) == 2 and found["machine"]["torch"]
    out = capsys.readouterr().out
    assert "Groups of 2" in out and "gain over plain, paired" in out and "the other half's" in out

    monkeypatch.setattr(bench_results, "FOLDER", tmp_path)
    renamed = {name: {"4": found[name]["2"]} for name in ("groups of", "equal")} | {"setting": found["setting"] | {"steps": 20}}
    (tmp_path / "groups_as_in_the_docs.json").write_text(json.dumps(found | renamed))
    monkeypatch.setattr("sys.argv", ["bench", "--plot", str(tmp_path / "results.png")])
    bench_results.main()
    out = capsys.readouterr().out
    assert "## Varied, groups of 4, guidance 3, 20 steps\n\n2 prompts, pools of 8\n" in out and "finished (equal rows" in out
    assert (tmp_path / "results.png").exists() and "CADS" in out and free not in out
    monkeypatch.setattr("sys.argv", ["bench", *arguments.split(), free])

    monkeypatch.setattr(pools.World, "denoise", None)
    monkeypatch.setattr(bench_groups, "measure_costs", lambda world: found["seconds of parts"])
    bench_groups.main()  # all that was denoised is still there
    again = json.loads((tmp_path / "groups_varied_guidance3_5steps.json").read_text())
    for name in groups:
        assert again["by prompt"]["2"][name]["objective"] == found["by prompt"]["2"][name]["objective"]


def test_pools_with_looks_after_some_steps_leave_out_who_needs_others(monkeypatch, tmp_path):
    run(bench_groups, monkeypatch, "--prompts 1 --candidates 20 --sizes 4 --steps 8 --rivals 0 --looks 1 2 3")
    groups = json.loads((tmp_path / "groups_varied_guidance3_8steps.json").read_text())["groups of"]["4"]
    assert "20 by half from 0 (paper)" in groups and "16 by half from 15%, latent distance alone" not in groups
    assert "16 by half from 0%" in groups and "16 by half from 25%" in groups
    assert "16: 20% 8 dinov2, 50% 4 clip+dinov2" not in groups and "20 by half from 15%, max_min 4" not in groups


def test_bench_previews(monkeypatch, tmp_path, capsys):
    run(bench_previews, monkeypatch, "--prompts 1 --candidates 6 --steps 4")
    found = json.loads((tmp_path / "previews_varied_guidance3_4steps.json").read_text())
    assert found["steps"] == [1, 2, 3, 4] and found["sigmas"][0] == 1 and found["progress"][-1] == 1
    full = found["rank correlation"]["full VAE / dinov2 patches"]
    assert full[0][0] < full[-1][0] == pytest.approx(1) and set(found["milliseconds"]) >= {"full VAE", "latent-to-RGB", "clip text"}
    assert "no decode / latent, against dinov2 patches" in found["rank correlation"]
    out = capsys.readouterr().out
    assert "full VAE, " in out and "latent-to-RGB, " in out and "no decode" in out
    assert (tmp_path / "previews_varied_guidance3_4steps.png").exists()
    monkeypatch.setattr(bench_previews.World, "correlations", None)
    run(bench_previews, monkeypatch, "--prompts 1 --candidates 6 --steps 4")


def test_free_schedules_can_be_written_and_read():
    rng = np.random.default_rng(0)
    for _ in range(50):
        policy = policies.random_schedule(rng, 4, 64)
        again = policies.read(policy.name)
        assert again == policy and policy.rounds[-1][1] == 4
        assert all(a[1] >= b[1] and a[0] < b[0] for a, b in zip(policy.rounds, policy.rounds[1:], strict=False))


def test_a_schedule_that_cannot_be_read_is_named():
    for text, said in (
        ("64", "is not like"),
        ("64: 5% 4", "is not like"),
        ("64: 5% 4 clipp", "asks clipp; there are clip, dinov2, latent"),
    ):
        with pytest.raises(ValueError, match=said):
            policies.read(text)


def test_best_of_gets_as_many_rows_and_seconds():
    costs = {"model": [1.0, 8.0], "decode": [2.0, 16.0], "clip": [0.0, 0.0], "dinov2": [0.0, 0.0]}
    outcome = replay.Outcome([], [8, 4, 2, 2], [(8, ("dinov2",)), (4, ("dinov2",))])
    assert outcome.rows == 16 and outcome.seconds(costs) == pytest.approx(16 + 24)
    found, equal = policies.best_of(2, 16, outcome, costs, 4)
    found = [p.name for p in found]
    # 4 finished take 16 rows; 6 finished 24 rows and 12 in decoding, 36 seconds; 7 would take 42.
    assert equal == {"best 2 of 4 finished": "equal rows", "best 2 of 6 finished": "equal seconds"} and set(equal) <= set(found)
    assert "best 2 of 16 finished" in found and "best 2 of 4 by text alone" in found


def test_directions_name_what_the_default_budget_does_not_keep():
    bench = bench_groups.Bench.__new__(bench_groups.Bench)
    bench.setting, bench.beside = pools.Setting(steps=10), {}
    bench.world = type("World", (), {"price": 2.0})
    name = f"budget {bench_groups.DEFAULT_BUDGET:g}"
    bench.families = {name: "budget", "plain 4": "plain"}
    figures = {n: [0.0] * 3 for n in (*bench_groups.GAINS, "rows", "looks")}
    better = {"objective": [1.0, 1.1, 1.2], "vendi": [0.5, 0.6, 0.7], "rows": [80.0] * 3, "looks": [8.0] * 3}
    bench.found = {4: {"plain 4": figures, name: figures | better}}
    assert bench.directions(4) == []
    for worse, sentence in (
        ({"objective": [1.0, -1.5, 1.2]}, "the distance is not above"), ({"right": [-0.1, -0.2, -0.1]}, "fewer pictures are right"),
        ({"looks": [9.0] * 3}, "the budget is not kept"),
    ):  # fmt: skip
        bench.found[4][name] = figures | better | worse
        (said,) = bench.directions(4)
        assert said.startswith(sentence)
