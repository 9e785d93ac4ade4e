import itertools
import math

import numpy as np
import pytest
from group_inference.solver import frontier, mean_weight, select, select_many, standard_distances, standard_scores
from group_inference.solver.branch_and_bound import Search
from group_inference.solver.clock import Clock
from group_inference.solver.semidefinite import split
from group_inference.solver.set_functions import LogDet
from hypothesis import assume, given, settings
from hypothesis import strategies as st

FAMILIES = ("diffuse", "clustered", "copies", "negative unary", "no distance", "not concave", "huge", "tiny")


def instance(items, family, seed):
    """Scores as scorers give them, and the awkward ones."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(2 if family == "clustered" else items, 6))
    features = centres[rng.integers(len(centres), size=items)] + 0.1 * rng.normal(size=(items, 6))
    if family == "copies":
        features = features[rng.integers(max(1, items // 3), size=items)]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    unary, pairwise = rng.uniform(0.2, 0.35, items), 1 - features @ features.T
    if family == "copies":
        unary[:] = unary[0]
    if family == "negative unary":
        unary = -rng.uniform(0, 3, items)
    if family == "no distance":
        pairwise[:] = 0
    if family == "not concave":
        pairwise = rng.normal(size=(items, items))
        pairwise = pairwise + pairwise.T
    factor = {"huge": 1e6, "tiny": 1e-6}.get(family, 1.0)
    return unary * factor, pairwise * factor


def value(unary, pairwise, chosen, weight):
    return unary[list(chosen)].sum() + weight * sum(pairwise[i, j] for i, j in itertools.combinations(chosen, 2))


def brute_force(unary, pairwise, n, weight):
    subsets = np.array(list(itertools.combinations(range(len(unary)), n)))
    total = unary[subsets].sum(1)
    for a, b in itertools.combinations(range(n), 2):
        total = total + weight * pairwise[subsets[:, a], subsets[:, b]]
    return total.max()


def check(unary, pairwise, n, weight, result, best):
    scale = max(1e-300, np.abs(unary).max(), weight * np.abs(pairwise).max())
    assert len(set(result.indices)) == n
    assert result.objective == pytest.approx(value(unary, pairwise, result.indices, weight), abs=1e-9 * scale)
    assert result.objective == pytest.approx(best, abs=1e-7 * scale)
    assert result.bound >= best - 1e-9 * scale
    assert result.gap == pytest.approx(result.bound - result.objective)
    assert result.status == "optimal"


@pytest.mark.parametrize(("items", "n"), [(m, n) for m in range(1, 15) for n in range(1, m + 1)])
def test_every_shape_up_to_14_against_brute_force(items, n):
    family = FAMILIES[(items * 31 + n) % len(FAMILIES)]
    unary, pairwise = instance(items, family, items * 100 + n)
    check(unary, pairwise, n, 1.5, select(unary, pairwise, n, 1.5, time_limit=60), brute_force(unary, pairwise, n, 1.5))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.data(), st.sampled_from(FAMILIES), st.sampled_from([0.0, 0.1, 1.5, 5.0]), st.integers(0, 10**6))
def test_random_instances_against_brute_force(items, data, family, weight, seed):
    n = data.draw(st.integers(1, items))
    unary, pairwise = instance(items, family, seed)
    check(unary, pairwise, n, weight, select(unary, pairwise, n, weight, time_limit=60), brute_force(unary, pairwise, n, weight))


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 9), st.integers(0, 10**6))
def test_renumbering_the_items_renumbers_the_answer(items, seed):
    unary, pairwise = instance(items, "diffuse", seed)
    first = select(unary, pairwise, 2, 1.5)
    others = sorted((value(unary, pairwise, c, 1.5) for c in itertools.combinations(range(items), 2)), reverse=True)
    assume(others[0] - others[1] > 1e-6)
    order = np.random.default_rng(seed).permutation(items)
    second = select(unary[order], pairwise[np.ix_(order, order)], 2, 1.5)
    assert [int(order[i]) for i in second.indices] == list(first.indices)


@pytest.mark.parametrize("seed", range(12))
def test_every_round_of_a_schedule_is_proven_as_hard_ones_are(seed):
    """Sizes that brute force cannot reach: branch and bound against enumeration, which bounds in another way."""
    unary, pairwise = instance(40, ("clustered", "diffuse", "not concave")[seed % 3], seed)
    result = select(unary, pairwise, 4, 1.5, time_limit=60)
    scale = max(np.abs(unary).max(), np.abs(pairwise).max())
    w = 1.5 * (pairwise - np.diag(np.diag(pairwise)))
    tightened = split(unary, w, 4, np.full(40, 0.1), -np.inf, Clock())
    assert tightened.bound >= result.objective - 1e-9 * scale
    search = Search(unary, w, 4, tightened, -np.inf, 1e-9 * scale, Clock())
    assert search.run() and search.best_value == pytest.approx(result.objective, abs=1e-8 * scale)
    for chosen in ([0, 1, 2, 3], result.indices, range(36, 40)):
        y = np.isin(np.arange(40), list(chosen)).astype(float)
        upper = tightened.const + tightened.linear @ y + y @ (tightened.concave - tightened.charge) @ y / 2
        assert upper >= value(unary, pairwise, chosen, 1.5) - 1e-9 * scale and (tightened.charge >= 0).all()


def test_copies_cost_nothing_and_the_first_ones_are_taken():
    unary, pairwise = instance(12, "diffuse", 1)
    four = np.repeat(np.arange(12), 4)
    result = select(unary[four], pairwise[np.ix_(four, four)], 8, 1.5, time_limit=60)
    assert result.status == "optimal" and result.nodes < 1000
    for kind in range(12):
        chosen = [i for i in result.indices if four[i] == kind]
        assert sorted(chosen) == list(range(4 * kind, 4 * kind + len(chosen)))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.data(), st.sampled_from(FAMILIES), st.sampled_from([0.0, 0.1, 1.5]), st.integers(0, 10**6))
def test_set_objectives_against_brute_force(items, data, family, weight, seed):
    n = data.draw(st.integers(1, items))
    unary, pairwise = instance(items, family, seed)
    pinned = data.draw(st.lists(st.integers(0, items - 1), max_size=n, unique=True))
    groups = [c for c in itertools.combinations(range(items), n) if set(pinned) <= set(c)]
    np.fill_diagonal(pairwise, 0)
    pairs = list(itertools.combinations(range(n), 2))

    def smallest(group):
        return unary[list(group)].sum() + weight * len(pairs) * min((pairwise[group[i], group[j]] for i, j in pairs), default=0)

    function = LogDet(unary, pairwise, n, weight, Clock())
    kernel, price, most = function.kernel, function.price, function.most
    volume = lambda group: unary[list(group)].sum() + most + price * np.linalg.slogdet(kernel[np.ix_(group, group)])[1]
    scale = max(1.0, np.abs(unary).max(), weight * np.abs(pairwise).max() * len(pairs))
    for objective, worth in (("max_min", smallest), ("log_det", volume)):
        result = select(unary, pairwise, n, weight, time_limit=60, objective=objective, pinned=pinned)
        best = max(map(worth, groups))
        assert result.status == "optimal" and set(pinned) <= set(result.indices) and len(result.indices) == n
        assert result.objective == pytest.approx(best, abs=1e-7 * scale) and result.bound >= best - 1e-7 * scale
        assert worth(sorted(result.indices)) == pytest.approx(best, abs=1e-7 * scale)
        if objective == "max_min":
            linear = select(unary, pairwise, n, weight, time_limit=60, engine="highs", objective=objective, pinned=pinned)
            assert linear.status == "optimal" and linear.objective == pytest.approx(best, abs=1e-7 * scale)
        quick = select(unary, pairwise, n, weight, engine="heuristic", objective=objective, pinned=pinned)
        assert quick.status == ("optimal" if quick.engine == "trivial" else "heuristic")
        assert quick.objective <= best + 1e-7 * scale <= quick.bound + 2e-7 * scale


def test_a_set_objective_stops_at_its_limits_with_a_valid_bound():
    unary, pairwise = instance(80, "clustered", 1)
    for objective in ("max_min", "log_det"):
        runs = [select(unary, pairwise, 20, 1.5, time_limit=60, node_limit=50, objective=objective) for _ in range(2)]
        assert runs[0].status == "gap" and runs[0].nodes == 50 and runs[0].bound > runs[0].objective
        assert (runs[0].indices, runs[0].bound) == (runs[1].indices, runs[1].bound)
        assert select(unary, pairwise, 20, 1.5, time_limit=0.0, objective=objective).status == "gap"


def test_similarities_stay_positive_definite_whatever_the_distances():
    pairwise = np.abs(instance(20, "not concave", 1)[1])
    np.fill_diagonal(pairwise, 0)
    assert np.linalg.eigvalsh(np.exp(-pairwise / pairwise[np.triu_indices(20, 1)].mean()))[0] < -1e-3
    assert np.linalg.eigvalsh(LogDet(np.zeros(20), pairwise, 3, 1.0, Clock()).kernel)[0] > 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("items", "n"), [(12, 6), (16, 5), (20, 4), (40, 20), (60, 6)])
def test_engines_agree_wherever_two_finish(items, n, family):
    unary, pairwise = instance(items, family, items + n)
    scale = max(np.abs(unary).max(), np.abs(pairwise).max())
    provable = items <= 40 or family != "not concave"
    limits = {"auto": 60 if provable else 2.0, "highs": 0.5}
    auto, highs = (select(unary, pairwise, n, 1.5, time_limit=limit, engine=engine) for engine, limit in limits.items())
    assert auto.bound >= highs.objective - 1e-9 * scale and highs.bound >= auto.objective - 1e-9 * scale
    if auto.status == highs.status == "optimal":
        assert auto.objective == pytest.approx(highs.objective, abs=1e-8 * scale)
    if provable:
        assert auto.status == "optimal" and auto.gap <= 1e-7 * scale


def test_a_node_limit_gives_the_same_run_every_time():
    unary, pairwise = instance(60, "not concave", 2)
    runs = [select(unary, pairwise, 20, 1.5, time_limit=60, node_limit=5) for _ in range(2)]
    assert runs[0].nodes == 5 and runs[0].status == "gap" and runs[0].bound > runs[0].objective
    assert (runs[0].indices, runs[0].bound) == (runs[1].indices, runs[1].bound)


def test_heuristic_does_not_prove_and_says_so():
    unary, pairwise = instance(30, "diffuse", 2)
    quick, proven = (select(unary, pairwise, 10, 1.5, time_limit=60, engine=engine) for engine in ("heuristic", "auto"))
    assert quick.status == quick.engine == "heuristic" and quick.nodes == 0
    assert quick.objective <= proven.objective + 1e-9 and quick.bound >= proven.objective


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 9), st.data(), st.sampled_from(FAMILIES), st.integers(0, 10**6))
def test_pins_and_bans_against_brute_force(items, data, family, seed):
    unary, pairwise = instance(items, family, seed)
    roles = data.draw(st.lists(st.sampled_from(["free", "pinned", "banned"]), min_size=items, max_size=items))
    pinned, banned = ([i for i, role in enumerate(roles) if role == name] for name in ("pinned", "banned"))
    assume(len(banned) < items)
    n = data.draw(st.integers(max(1, len(pinned)), items - len(banned)))
    result = select(unary, pairwise, n, 1.5, time_limit=60, pinned=pinned, banned=banned)
    allowed = [c for c in itertools.combinations(range(items), n) if set(pinned) <= set(c) and not set(banned) & set(c)]
    best = max(value(unary, pairwise, c, 1.5) for c in allowed)
    scale = max(1e-300, np.abs(unary).max(), np.abs(pairwise).max())
    assert set(pinned) <= set(result.indices) and not set(banned) & set(result.indices)
    assert result.objective == pytest.approx(best, abs=1e-7 * scale) and result.bound >= best - 1e-9 * scale


def test_a_start_is_never_made_worse_whatever_its_size():
    unary, pairwise = instance(40, "clustered", 7)
    good = select(unary, pairwise, 12, 1.5, time_limit=60)
    for start in (good.indices, good.indices[:5], tuple(range(20))):
        assert select(unary, pairwise, 12, 1.5, engine="heuristic", start=start).objective <= good.objective + 1e-9
    assert select(unary, pairwise, 12, 1.5, engine="heuristic", start=good.indices).objective == pytest.approx(good.objective)


def test_gaps_are_shares_of_the_objective_and_of_what_choosing_is_worth():
    unary, pairwise = instance(10, "diffuse", 1)
    result = select(unary, pairwise, 4, 1.5, engine="heuristic")
    mean = np.mean([value(unary, pairwise, c, 1.5) for c in itertools.combinations(range(10), 4)])
    assert result.relative_gap == pytest.approx(result.gap / result.objective)
    assert result.gap_over_random == pytest.approx(result.gap / (result.objective - mean))


def test_a_frontier_goes_from_quality_to_difference():
    unary, pairwise = instance(14, "clustered", 3)
    found = frontier(unary, pairwise, 4, [0.0, 0.01, 0.1, 1.0, 10.0])
    quality = [unary[list(s.indices)].sum() for s in found]
    difference = [value(0 * unary, pairwise, s.indices, 1.0) for s in found]
    assert quality == sorted(quality, reverse=True) and difference == sorted(difference) and quality[0] > quality[-1]


def test_many_groups_are_disjoint_and_each_the_best_of_the_rest():
    unary, pairwise = instance(12, "diffuse", 3)
    found = select_many(unary, pairwise, 4, 3, 1.5)
    assert sorted(i for s in found for i in s.indices) == list(range(12))
    assert found[0].indices == select(unary, pairwise, 4, 1.5).indices
    assert found[0].objective >= found[1].objective >= found[2].objective
    with pytest.raises(ValueError, match="need 16 items"):
        select_many(unary, pairwise, 4, 4)


def test_the_best_share_comes_first():
    unary, pairwise = instance(8, "diffuse", 3)
    chosen = select(unary, pairwise, 4, 1.5).indices
    shares = [unary[i] + 1.5 * sum(pairwise[i, j] for j in chosen if j != i) / 2 for i in chosen]
    assert shares == sorted(shares, reverse=True)


def test_ties_go_to_the_lower_index():
    assert select(np.zeros(6), np.zeros((6, 6)), 3).indices == (0, 1, 2)


@pytest.mark.parametrize("items", [64, 300])
def test_a_time_limit_keeps_the_incumbent_and_a_valid_bound(items):
    unary, pairwise = instance(items, "not concave", 1)
    result = select(unary, pairwise, items // 8, 1.5, time_limit=0.0)
    assert result.status == "gap"
    assert math.isfinite(result.bound) and result.bound > result.objective
    assert result.objective > np.mean(
        [value(unary, pairwise, np.random.default_rng(i).permutation(items)[: items // 8], 1.5) for i in range(20)]
    )


def test_the_same_answer_twice():
    unary, pairwise = instance(20, "clustered", 4)
    assert select(unary, pairwise, 5).indices == select(unary, pairwise, 5).indices


@pytest.mark.parametrize(("change", "named"), [
    ({"unary": np.zeros((4, 1))}, "unary"),
    ({"unary": np.zeros(0)}, "unary"),
    ({"unary": np.array([0.0, 1.0, np.nan, 0.0])}, "unary"),
    ({"pairwise": np.zeros((4, 3))}, "pairwise"),
    ({"pairwise": np.full((4, 4), np.inf)}, "pairwise"),
    ({"pairwise": np.triu(np.ones((4, 4)))}, "pairwise must be symmetric"),
    ({"n": 0}, "n must be"),
    ({"n": 5}, "n must be"),
    ({"weight": -1.0}, "weight"),
    ({"weight": math.nan}, "weight"),
    ({"pinned": [4]}, "pinned must hold indices"),
    ({"banned": [-1]}, "banned must hold indices"),
    ({"pinned": [1], "banned": [1]}, "in common"),
    ({"pinned": [0, 1, 2]}, "3 items are pinned"),
    ({"banned": [0, 1, 2]}, "1 of 4 are not banned"),
    ({"engine": "gurobi"}, "engine must be one of auto, highs, heuristic"),
    ({"objective": "mean"}, "objective must be one of sum, max_min, log_det"),
    ({"engine": "highs", "objective": "log_det"}, "engine highs cannot solve the objective log_det"),
])  # fmt: skip
def test_bad_input_is_named(change, named):
    with pytest.raises(ValueError, match=named):
        select(**{"unary": np.zeros(4), "pairwise": np.zeros((4, 4)), "n": 2, "weight": 1.0, **change})


def test_standard_scores_are_comparable():
    unary, pairwise = instance(12, "diffuse", 5)
    for n in (2, 5):
        u, b, weight = standard_scores(unary), standard_distances(pairwise), mean_weight(1.5, n)
        chosen = select(u, b, n, weight)
        assert select(standard_scores(7 * unary + 100), standard_distances(3 * pairwise), n, weight).indices == chosen.indices
        pairs = np.array([b[i, j] for i, j in itertools.combinations(chosen.indices, 2)])
        assert chosen.objective == pytest.approx(n * (u[list(chosen.indices)].mean() + 1.5 * pairs.mean()))


def test_one_broken_preview_does_not_move_the_others_scores():
    u = standard_scores(np.array([0.2, 0.21, 0.22, 0.23, 0.24, -50.0]))
    assert u.min() == -3 and np.ptp(u[:5]) > 1
    assert not standard_scores(np.ones(5)).any() and not standard_distances(np.zeros((5, 5))).any()
