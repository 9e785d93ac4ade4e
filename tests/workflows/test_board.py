"""The board in a browser: a run as it goes, what is there of it afterwards, and a page that is loaded anew. Pictures of
it are left in output/board, to be looked at."""

import json

import numpy as np
import pytest
import shipped
from PIL import Image

STARTED, KEPT, LOOKS = 24, 4, 12


@pytest.fixture(scope="module")
def board(in_browser, place, pictures_folder):
    server, renderer = place
    return in_browser("board.mjs", server.address, shipped.FOLDER / "garden.json", pictures_folder, renderer)


def test_nothing_is_there_before_the_first_run(board):
    assert board["before"] is None


def test_candidates_fade_where_they_stand_as_the_run_goes(board):
    live = [state for state in board["states"] if state["tiles"] and not state["best"]]
    left, looks = ([state[what] for state in live] for what in ("left", "looks"))
    assert left == sorted(left) and looks == sorted(looks) and looks[0] == 0 and len(set(left)) > 2
    assert {state["tiles"] for state in live} == {STARTED} and {state["bars"] for state in live} == {20}
    in_order = [state["seeds"] for state in live if state["left"]]
    assert all(seeds == sorted(seeds) for seeds in in_order)
    assert any(state["shown"] == STARTED for state in live)


def test_a_round_is_asked_for_once(board):
    """And a word brings one state and one sheet, however many there are."""
    sheets = [path for path in board["asked"] if path.endswith(".webp")]
    states = [path for path in board["asked"] if "/board/" in path and not path.endswith((".webp", ".css", "/choose"))]
    assert len(set(sheets)) == len(sheets) <= LOOKS + 1 and len(states) <= LOOKS + 2


def test_the_group_is_large_and_decoded_and_what_was_chosen_is_drawn(board):
    after = board["after"]
    assert (after["best"], after["left"], after["tiles"], after["shown"]) == (KEPT, STARTED - KEPT, STARTED, STARTED)
    assert after["finished"] == KEPT and after["looks"] == LOOKS and after["drawn"] == 2


def test_a_candidate_says_what_is_known_of_it(board):
    assert board["hovered"].startswith(f"seed {board['after']['seeds'][0]} · chosen · quality 0.") and ", distance 0." in board["hovered"]


def test_a_screen_reader_hears_what_is_seen(board):
    assert 'listbox "Candidates of the group"' in board["read"] and 'img "Quality against distance"' in board["read"]
    assert f'option "seed {board["after"]["seeds"][0]} · chosen · quality 0.' in board["read"] and 'button "Apply"' in board["read"]


def test_everybody_can_read_and_reach_it(board):
    """By dark and by light themes: contrast of its texts, roles, names."""
    assert len(board["reading"]) == 3
    for theme in board["reading"]:
        assert theme["barred"] == [] and theme["judged"] > 5


def test_a_step_shows_the_sheet_as_it_was(board):
    then = board["asItWas"]
    assert then["best"] == 0 and 0 < then["left"] < STARTED - KEPT and then["seeds"] == sorted(then["seeds"]) and then["shown"] == STARTED


def test_keys_pin_and_ban_in_the_nodes_own_inputs(board):
    state, inputs = board["marked"]
    assert (state["pinned"], state["banned"]) == (1, 1)
    assert [inputs["pinned"], inputs["banned"]] == board["after"]["seeds"][:2]


def test_one_is_opened_large_and_two_are_compared(board):
    assert board["large"] == 1 and board["closed"] and board["compared"] == 2


def test_the_board_stays_below_what_the_node_says(board):
    assert board["lowest"] == "group_board"


def test_what_says_nothing_or_comes_late_changes_nothing(board):
    same = ("tiles", "left", "best", "shown", "seeds", "finished", "drawn")
    assert {key: board["undisturbed"][key] for key in same} == {key: board["after"][key] for key in same}
    assert board["messages"] == []


def test_results_that_are_no_pictures_leave_the_last_previews(board):
    found = board["videos"]
    assert (found["finished"], found["shown"], found["best"]) == (0, STARTED, KEPT) and "no longer kept" not in found["head"]


def test_a_page_that_is_loaded_anew_sees_the_run_go_on(board):
    reloaded, finished = board["reloaded"], board["finished"]
    assert (reloaded["tiles"], reloaded["best"]) == (30, 0) and (finished["tiles"], finished["best"], finished["finished"]) == (
        30,
        KEPT,
        KEPT,
    )


def test_another_lambda_is_tried_at_once_and_applied_to_what_is_there(board):
    """By quality alone, in the last round, and then in a run, for which all that started is known."""
    assert len(board["would"]) == KEPT and board["tried"].startswith("In the look after step 20: ")
    assert board["applied"]["lambda_score"] == 0 and board["applied"]["output_group_size"] == KEPT
    assert board["again"]["known"] == STARTED and board["again"]["settings"]["lambda_score"] == 0


def test_one_that_had_left_is_finished_alone(board):
    alone = board["alone"]
    # One that a run before had in its group is finished already.
    assert alone["seeds"] == [alone["seed"]] and alone["known"] == 1 and alone["model_rows"] in (0, 20)
    assert [alone["inputs"][name] for name in ("seeds", "pinned", "banned", "output_group_size")] == [alone["seed"], "", "", 1]


def test_the_one_that_is_finished_is_what_a_ksampler_makes(board, place):
    server, _ = place
    seed, found = int(board["alone"]["seed"]), [Image.open(file) for file in (server.folder / "output").rglob("*.png")]
    (picture,) = (one for one in found if board["alone"]["id"] in one.text.get("workflow", ""))
    graph = json.loads(picture.text["prompt"])
    graph = {i: node for i, node in graph.items() if node["class_type"] not in ("PreviewAny", "UnaryScorer", "PairwiseScorer")}
    (sampler,), (saved,) = ([node for node in graph.items() if node[1]["class_type"] == kind] for kind in ("GroupKSampler", "SaveImage"))
    wanted = ("model", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "latent_image", "denoise")
    graph[sampler[0]] = {"class_type": "KSampler", "inputs": {"seed": seed, **{name: sampler[1]["inputs"][name] for name in wanted}}}
    (stock,) = server.pictures(server.wait(server.submit(graph)), saved[0])
    difference = np.abs(np.asarray(stock).astype(int) - np.asarray(picture))
    assert difference.max() <= 1 and np.asarray(stock).std() > 20


def test_a_dropped_picture_brings_the_board_and_says_what_is_gone(board):
    back = board["back"]
    assert (back["tiles"], back["best"], back["shown"], back["drawn"]) == (STARTED, KEPT, 0, 2)
    assert back["head"].count("This run has no pictures, or they are no longer kept.") == 1
