"""How the shipped workflows lie on the screen."""

from itertools import combinations

import pytest
import shipped

LARGE = 16


@pytest.mark.parametrize("name", shipped.NAMES)
def test_every_wire_runs_to_the_right(name):
    graph = shipped.browser_form(name)
    nodes = {node["id"]: node for node in graph["nodes"]}
    starts_at = lambda i: nodes[i]["pos"][0] + nodes[i]["size"][0]
    assert [link for link in graph["links"] if starts_at(link[1]) >= nodes[link[3]]["pos"][0]] == []


def apart(one, other):
    (x, y, width, height), (left, top, w, h) = one, other
    return x + width <= left or left + w <= x or y + height <= top or top + h <= y


def holds(outer, inner):
    (x, y, width, height), (left, top, w, h) = outer, inner
    return x <= left and y <= top and left + w <= x + width and top + h <= y + height


@pytest.mark.parametrize("renderer", ["canvas", "vue"])
@pytest.mark.parametrize("name", shipped.NAMES)
def test_no_box_lies_on_another(seen, name, renderer):
    boxes, groups = seen[name][renderer]["boxes"], seen[name][renderer]["groups"]
    assert [pair for pair in combinations(boxes, 2) if not apart(*map(boxes.get, pair))] == []
    assert [(a, b) for (a, one), (b, other) in combinations(groups, 2) if not apart(one, other)] == []
    assert [(title, i) for title, group in groups for i, box in boxes.items() if not apart(group, box) and not holds(group, box)] == []


@pytest.mark.parametrize("renderer", ["canvas", "vue"])
@pytest.mark.parametrize("name", shipped.NAMES)
def test_a_large_one_is_in_groups_with_titles(seen, name, renderer):
    boxes, groups = seen[name][renderer]["boxes"], seen[name][renderer]["groups"]
    notes = {str(node["id"]) for node in shipped.browser_form(name)["nodes"] if node["type"] == "MarkdownNote"}
    grouped = [i for _, group in groups for i, box in boxes.items() if holds(group, box)]
    assert sorted(grouped) == (sorted(boxes.keys() - notes) if len(boxes) > LARGE else [])
    titles = [title for title, _ in groups]
    assert all(titles) and len(set(titles)) == len(titles)
