"""Translations of what the nodes say, as ComfyUI's frontend looks them up."""

import asyncio
import json
import re
from pathlib import Path

import group_inference
import pytest

FILES = sorted((Path(__file__).resolve().parents[2] / "locales").glob("*/*"))
# What no translation changes: ids, names in capitals, numbers, what is quoted or filled in.
KEPT = r"%[^%]+%|\w*_\w+|\b[A-Z]{2,}\b|\bHiGHS\b|\w*\d\w*|(?<!\w)'([^']+)'(?!\w)"


def inputs_of(groups, before=""):
    """(key, tooltip, the node's own words in it) of each input, nested ones too: the frontend looks for _ in the place of dots."""
    for kind in groups.keys() - {"hidden"}:
        for name, (type_, options) in groups[kind].items():
            choices = options.get("options", []) if type_ in ("COMBO", "COMFY_DYNAMICCOMBO_V3") else []
            words = [choice["key"] if isinstance(choice, dict) else choice for choice in choices]
            yield (
                before + name,
                options["tooltip"],
                [word for word in words if re.search(rf"(^|[ .,]){re.escape(word)}\b", options["tooltip"])],
            )
            for choice in choices:
                if isinstance(choice, dict):
                    yield from inputs_of(choice["inputs"], f"{before}{name}_")


@pytest.fixture(scope="module")
def infos():
    async def load():
        extension = await group_inference.comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    return {node.GET_SCHEMA().node_id: node.GET_NODE_INFO_V1() for node in asyncio.run(load())}


def pairs(info, said):
    """(English, translated, words to keep) of each text that the node shows beside its labels."""
    yield info["display_name"], said["display_name"], []
    yield info["description"], said["description"], []
    for key, tooltip, words in inputs_of(info["input"]):
        yield tooltip, said["inputs"][key]["tooltip"], words
    for i, tooltip in enumerate(info["output_tooltips"]):
        if tooltip:
            yield tooltip, said["outputs"][str(i)]["tooltip"], []


def test_there_are_locales_and_nothing_else():
    assert {"fr", "ja", "ko", "zh"} <= {file.parent.name for file in FILES} and {file.name for file in FILES} == {"nodeDefs.json"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
class TestLocale:
    def test_it_is_sorted_and_plain(self, file):
        text = file.read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        # In a value these are syntax of the frontend's translations.
        values = []
        json.loads(text, object_pairs_hook=lambda items: values.extend(value for _, value in items if isinstance(value, str)))
        assert not [value for value in values if not value.strip() or re.search(r"[@{}|]", value)]

    def test_it_says_all_that_the_nodes_say_and_no_more(self, file, infos):
        locale = json.loads(file.read_text(encoding="utf-8"))
        assert locale.keys() == infos.keys()
        for name, info in infos.items():
            said = locale[name]
            assert said.keys() - {"outputs"} == {"description", "display_name", "inputs"}, name
            assert said["inputs"].keys() == {key for key, *_ in inputs_of(info["input"])}, name
            assert all(texts.keys() - {"name"} == {"tooltip"} for texts in said["inputs"].values()), name
            # The name of an output that has none of its own is its type's, which the frontend translates.
            named = {str(i) for i, own in enumerate(info["output_name"]) if own != info["output"][i]}
            told = {str(i) for i, tooltip in enumerate(info["output_tooltips"]) if tooltip}
            outputs = said.get("outputs", {})
            assert {i for i in outputs if "name" in outputs[i]} <= named, name
            assert {i for i in outputs if "tooltip" in outputs[i]} == told and outputs.keys() <= named | told, name

    def test_it_translates_every_text_and_keeps_what_is_none(self, file, infos):
        locale = json.loads(file.read_text(encoding="utf-8"))
        titles = {info["display_name"].split(" (")[0]: locale[name]["display_name"].split(" (")[0] for name, info in infos.items()}
        for name, info in infos.items():
            for english, translated, words in pairs(info, locale[name]):
                assert translated != english
                kept = [found.group(1) or found.group() for found in re.finditer(KEPT, english)] + words
                assert not [word for word in kept if word not in translated], f"{english}\n{translated}"
                if english not in titles:
                    named = [title for title in titles if title in english]
                    assert not [title for title in named if titles[title].lower() not in translated.lower()], f"{english}\n{translated}"
