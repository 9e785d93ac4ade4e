"""The Scorer Download node in the host, from a hub on loopback."""

import folder_paths
import pytest
from group_inference.nodes import scorer_download
from group_inference.nodes.scorer_download import ScorerDownload
from group_inference.scorers import weights
from unit.hub_server import Hub, point_to

FILES = {"config.json": b"{}", "model.safetensors": bytes(3000)}


def test_it_runs_until_the_folder_is_there_and_gives_its_path(tmp_path, monkeypatch):
    folder, told = tmp_path / "towers", []
    monkeypatch.setitem(folder_paths.folder_names_and_paths, weights.FOLDER, ([str(tmp_path)], set()))
    monkeypatch.setattr(weights, "KNOWN", {"towers": weights.Known("clip", (("owner/towers", tuple(FILES)),))})
    assert ScorerDownload.GET_SCHEMA().inputs[0].options == ["towers"]
    never_the_same = ScorerDownload.fingerprint_inputs(model="towers")
    assert never_the_same != never_the_same
    with Hub() as hub:
        point_to(monkeypatch, hub.url)
        hub.commit("owner/towers", FILES)
        monkeypatch.setattr(scorer_download, "show_on_node", told.extend)
        assert ScorerDownload.execute(model="towers").args == (str(folder), "towers")
        assert "towers: 0 of 0 MB" in told[0] and told[-1] == f"towers is installed: {folder}"
        assert {name: (folder / name).read_bytes() for name in FILES} == FILES
        assert ScorerDownload.fingerprint_inputs(model="towers") == str(folder)
        hub.requests.clear()
        assert ScorerDownload.execute(model="towers").args == (str(folder), "towers") and not hub.requests
        assert told[-1] == f"towers was there already: {folder}"
    (folder / "config.json").unlink()
    assert ScorerDownload.fingerprint_inputs(model="towers") != str(folder)
    with pytest.raises(ValueError, match="config.json is missing of what was downloaded from owner/towers"):
        ScorerDownload.execute(model="towers")
