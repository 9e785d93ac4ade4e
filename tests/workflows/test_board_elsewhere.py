"""The board on other nodes than a Group KSampler that is seen whole, in both node renderers."""

import pytest
import shipped
from PIL import Image

STARTED, KEPT = 8, 2


@pytest.fixture(scope="module")
def seen_elsewhere(in_browser, newest_frontend, pictures_folder):
    (newest_frontend.folder / "input" / "board").mkdir(exist_ok=True)
    for i in range(STARTED):
        Image.new("RGB", (64, 48), (30 * i, 255 - 30 * i, 90)).save(newest_frontend.folder / "input" / "board" / f"{i}.png")
    files = [shipped.FOLDER / f"{name}.json" for name in ("garden", "custom_sampling", "picture_folder")]
    return in_browser("elsewhere.mjs", newest_frontend.address, pictures_folder, *files)


@pytest.fixture(params=["canvas", "vue"])
def elsewhere(request, seen_elsewhere):
    return seen_elsewhere[request.param]


def test_a_node_that_samples_with_a_group_sampler(elsewhere):
    """Has the board, whose pins are the Group Sampler's."""
    found = elsewhere["sampler"]
    assert found["on"] == "SamplerCustomAdvanced" and (found["board"]["tiles"], found["board"]["best"]) == (STARTED, KEPT)
    assert found["pinned"] == found["board"]["seeds"][0] and "finish" in found["acts"]


def test_pictures_that_were_there_already(elsewhere):
    found = elsewhere["selector"]
    assert found["on"] == "QIPSelector" and (found["board"]["tiles"], found["board"]["best"], found["board"]["shown"]) == (
        STARTED,
        KEPT,
        STARTED,
    )
    assert found["pinned"] == found["board"]["seeds"][0] and "finish" not in found["acts"]


@pytest.mark.parametrize("place", ["subgraph", "collapsed"])
def test_a_node_that_was_not_seen_while_it_ran(elsewhere, place):
    assert (elsewhere[place]["tiles"], elsewhere[place]["best"], elsewhere[place]["shown"]) == (STARTED, KEPT, STARTED)


def test_app_mode_shows_the_sheet_of_all_in_place_of_the_board(seen_elsewhere):
    found = seen_elsewhere["app"]
    assert found["files"] == ["group", "group_sheet"] and not found["drawn"] and found["messages"] == []
    assert (found["board"]["tiles"], found["board"]["best"], found["board"]["shown"]) == (STARTED, KEPT, STARTED)  # in the graph again


def test_more_like_this_compares_with_the_candidate(elsewhere):
    """Beside the scorer that was there; a second press takes another picture in the same place. The candidate itself is the likest."""
    found, report = elsewhere["alike"], elsewhere["alike"]["report"]
    assert found["added"] == ["CombineUnaryScorers", "LoadImage", "UnaryScorer"] and found["again"] == 0
    (name,) = (name for name in report["rounds"][0]["parts"] if "reference" in name)
    likest = max(zip(report["rounds"][0]["parts"][name], report["rounds"][0]["seeds"], strict=True))
    assert likest[1] == found["seed"] and report["known"] == STARTED


def test_memory_stays_flat(elsewhere):
    """After 500 looks the page holds no more than after 100, but for a small part."""
    first, *_, last = elsewhere["memory"]["sizes"]
    assert elsewhere["memory"]["tiles"] == 64 and last < 1.05 * first + 2**20


def test_nothing_complains(elsewhere):
    assert elsewhere["messages"] == []
