"""Downloading scorer weights, with the real client, from a hub on loopback."""

import json
import shutil
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from group_inference.scorers import download, source, weights
from unit.hub_server import Hub, point_to

CHUNK = 1000
FILES = {"config.json": b'{"model_type": "clip"}', "model.safetensors": bytes(range(256)) * 40}
WORDS = {"tokenizer.json": b"{}" * 700}
KNOWN = weights.Known("clip", (("owner/towers", tuple(FILES)), ("owner/words", tuple(WORDS))))


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the client's retries
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    with Hub() as hub:
        point_to(monkeypatch, hub.url)
        hub.commit("owner/towers", {**FILES, "README.md": b"text", "pytorch_model.bin": b"pickle"})
        hub.commit("owner/words", WORDS)
        yield hub


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "search_paths", lambda: [tmp_path / "group_scorers"])
    monkeypatch.setattr(weights, "KNOWN", {"towers": KNOWN})
    return tmp_path / "group_scorers"


def fails(error, *words):
    """Runs the download, which has to fail with one line that has all the words; returns it."""
    with pytest.raises(error) as caught:
        download.download("towers")
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message
    return message


def assert_not_installed(root):
    assert not (root / "towers").exists() and weights.installed("clip") == []
    for name in ("towers", "towers.partial"):
        with pytest.raises(FileNotFoundError):
            weights.find("clip", name)


def assert_installed(root, towers=FILES):
    assert {path.name for path in root.iterdir()} == {"towers"}
    assert {path.name for path in (root / "towers").iterdir()} == {*towers, *WORDS, "source.json"}
    assert all((root / "towers" / name).read_bytes() == content for name, content in {**towers, **WORDS}.items())
    download.check(root / "towers")


def test_files_of_two_repositories_become_one_folder(hub, root):
    assert download.download("towers") == root / "towers" == weights.find("clip", "towers")
    assert_installed(root)
    assert set(hub.served) == {*FILES, *WORDS}
    record = json.loads((root / "towers" / "source.json").read_text())
    revisions = {repository: list(revisions)[0] for repository, revisions in hub.repositories.items()}
    assert [record[name]["revision"] for name in (*FILES, *WORDS)] == [
        revisions[r] for r in ("owner/towers", "owner/towers", "owner/words")
    ]
    # As sha256sum and git hash-object print them.
    assert record["model.safetensors"]["hash"] == "sha256:e96760a87768717bcebcfd25ddc7d46b4dbc95a4b0014def080c08539f7d90d0"
    assert record["config.json"]["hash"] == "git-sha1:6d71d5947a0a8a2ad1517d775879c0ba7ac762dc"


def test_a_complete_folder_is_left_as_it_is(hub, root):
    download.download("towers")
    hub.requests.clear()
    assert download.download("towers") == root / "towers" and hub.requests == []


def test_a_folder_of_the_users_is_left_as_it_is(hub, root):
    (root / "towers").mkdir(parents=True)
    (root / "towers" / "config.json").write_bytes(b"mine")
    fails(FileNotFoundError, str(root / "towers"), "model.safetensors from owner/towers and tokenizer.json from owner/words", "by hand")
    for name in ("model.safetensors", "tokenizer.json"):
        (root / "towers" / name).write_bytes(b"mine")
    assert download.download("towers") == root / "towers" and hub.requests == []


def test_a_broken_transfer_is_resumed(hub, root):
    hub.cut["model.safetensors"] = 3 * CHUNK + 10
    fails(RuntimeError, "model.safetensors of owner/towers", str(root / "towers"), "run it again", "goes on")
    assert_not_installed(root)
    assert (root / "towers.partial" / "towers" / "model.safetensors").stat().st_size == 3 * CHUNK
    hub.cut.clear()
    hub.served.clear()
    download.download("towers")
    assert hub.served == {"model.safetensors": len(FILES["model.safetensors"]) - 3 * CHUNK, **{n: len(c) for n, c in WORDS.items()}}
    assert_installed(root)


def test_a_begun_download_keeps_its_revision(hub, root):
    hub.cut["model.safetensors"] = CHUNK
    fails(RuntimeError)
    hub.cut.clear()
    changed = {**FILES, "model.safetensors": bytes(len(FILES["model.safetensors"]))}
    newest = hub.commit("owner/towers", changed)
    kept = shutil.copytree(root / "towers.partial", root.parent / "kept")
    download.download("towers")
    assert_installed(root)

    # Once the hub has forgotten that revision the sentence says what to delete, and that is enough.
    shutil.rmtree(root / "towers")
    shutil.copytree(kept, root / "towers.partial")
    hub.repositories["owner/towers"] = {newest: changed}
    fails(RuntimeError, "404", f"without {root / 'towers.partial'} if its revision is gone")
    shutil.rmtree(root / "towers.partial")
    download.download("towers")
    assert_installed(root, changed)


def test_remains_of_another_list_of_files_are_not_installed(hub, root):
    hub.cut["model.safetensors"] = CHUNK
    fails(RuntimeError)
    (root / "towers.partial" / "towers" / "vocab.json").write_bytes(b"half a f")
    hub.cut.clear()
    download.download("towers")
    assert_installed(root)


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_an_interruption_ends_it_within_a_chunk(hub, root, monkeypatch, kind):
    class Interrupted(kind):
        pass

    shown = []

    class Progress:
        def __init__(self, total):
            self.total = total

        def update(self, count):
            shown.append(count)

    def interrupt():
        if stop_after is not None and len(shown) > stop_after:
            raise Interrupted

    monkeypatch.setattr(download, "host", SimpleNamespace(throw_exception_if_processing_interrupted=interrupt))
    monkeypatch.setattr(download, "INTERRUPTED", Interrupted)
    monkeypatch.setattr(download, "ProgressBar", Progress, raising=False)
    stop_after = 4  # what was there already, config.json, three chunks
    with pytest.raises(Interrupted):
        download.download("towers")
    assert_not_installed(root)
    assert (root / "towers.partial" / "towers" / "model.safetensors").stat().st_size == 3 * CHUNK

    stop_after = None
    shown.clear()
    hub.served.clear()
    download.download("towers")
    assert_installed(root)
    assert hub.served["model.safetensors"] == len(FILES["model.safetensors"]) - 3 * CHUNK and "config.json" not in hub.served
    assert sum(shown) == sum(map(len, [*FILES.values(), *WORDS.values()])), "the progress bar did not end at its end"


def test_a_disk_that_is_too_small_is_refused_before_any_transfer(hub, root, monkeypatch):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=1_200_000))
    hub.commit("owner/towers", {**FILES, "model.safetensors": bytes(2_500_000)})
    fails(RuntimeError, "needs 2.5 MB more", "1.2 MB are free", str(root / "towers"), "run Scorer Download again")
    assert not hub.served and not root.exists() and asked == [root.parent]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_disk_that_fills_up_is_named_and_it_goes_on_later(hub, root):
    partial = root / "towers.partial" / "towers"
    partial.mkdir(parents=True)
    (partial / "model.safetensors").symlink_to("/dev/full")
    fails(RuntimeError, "model.safetensors of owner/towers", "No space left on device", "make room", str(root / "towers"))
    assert_not_installed(root)
    (partial / "model.safetensors").unlink()
    hub.served.clear()
    download.download("towers")
    assert "config.json" not in hub.served
    assert_installed(root)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_with_another_hash_is_deleted(hub, root, name):
    hub.instead[name] = bytes([FILES[name][0] ^ 1]) + FILES[name][1:]
    fails(RuntimeError, f"{name} of owner/towers", "another hash", "deleted", str(root / "towers"), "again")
    assert_not_installed(root)
    assert not (root / "towers.partial" / "towers" / name).exists()
    hub.instead.clear()
    download.download("towers")
    assert_installed(root)


@pytest.mark.parametrize("length", [-7, 7])
def test_a_file_of_another_length_is_not_installed(hub, root, length):
    content = FILES["model.safetensors"]
    hub.instead["model.safetensors"] = (content + bytes(7))[: len(content) + length]
    fails(RuntimeError, "model.safetensors of owner/towers", str(root / "towers"))
    assert_not_installed(root)
    hub.instead.clear()
    download.download("towers")
    assert_installed(root)


def test_other_kinds_of_files_are_refused(hub, root, monkeypatch):
    monkeypatch.setitem(weights.KNOWN, "towers", weights.Known("clip", (("owner/towers", ("config.json", "pytorch_model.bin")),)))
    fails(ValueError, "pytorch_model.bin of owner/towers is refused", str(root / "towers"), ".safetensors")
    assert hub.requests == [] and not root.exists()


@pytest.mark.parametrize(("path", "status", "code"), [
    ("/api/models/owner/words", 401, "RepoNotFound"),
    ("/api/models/owner/words", 404, "RepoNotFound"),
    ("/owner/words/resolve", 401, "GatedRepo"),
    ("/owner/words/resolve", 403, "GatedRepo"),
])  # fmt: skip
def test_a_gated_or_missing_repository_is_named(hub, root, path, status, code):
    hub.refuse[path] = (status, code)
    fails(RuntimeError, "tokenizer.json of owner/words", str(status), str(root / "towers"), "accept its terms", "HF_TOKEN")
    assert_not_installed(root)


def test_a_file_that_the_repository_lacks_is_named(hub, root):
    hub.commit("owner/words", {"vocab.txt": b"a"})
    fails(FileNotFoundError, "owner/words has no tokenizer.json", str(root / "towers"), "by hand")
    assert not hub.served and not root.exists()


def test_offline_it_fails_at_once(hub, root, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fails(RuntimeError, "config.json, model.safetensors of owner/towers", str(root / "towers"), "unset HF_HUB_OFFLINE", "by hand")
    assert hub.requests == [] and not root.exists()


@pytest.mark.parametrize("silent", [False, True])
def test_a_hub_out_of_reach_is_given_up_soon(hub, root, monkeypatch, silent):
    """Nobody listens, or somebody does and never answers."""
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if silent:
            port.listen()
        point_to(monkeypatch, f"http://127.0.0.1:{port.getsockname()[1]}")
        start = time.monotonic()
        fails(RuntimeError, "config.json, model.safetensors of owner/towers", str(root / "towers"), "connect to the network", "by hand")
        assert time.monotonic() - start < 5 and not root.exists()


def test_a_changed_file_is_noticed_when_it_is_loaded(hub, root):
    folder = download.download("towers")
    path = folder / "model.safetensors"
    path.write_bytes(b"\1" + FILES["model.safetensors"][1:])
    for run in (lambda: download.check(folder), lambda: download.download("towers")):
        with pytest.raises(ValueError, match=r"model\.safetensors is not what was downloaded from owner/towers: delete .*Scorer Download"):
            run()
    path.unlink()
    for run in (lambda: download.check(folder), lambda: download.download("towers")):
        with pytest.raises(ValueError, match=r"model\.safetensors is missing of what was downloaded from owner/towers: delete "):
            run()
    (folder / "source.json").write_text('{"model.safetensors": {"hash"')
    with pytest.raises(ValueError, match=r"source\.json cannot be understood: delete "):
        download.check(folder)
    (folder / "source.json").unlink()
    download.check(folder)  # a user's own folder


def test_a_file_is_hashed_once_until_it_changes(hub, monkeypatch):
    folder = download.download("towers")
    hashed, real = [], source._hash
    monkeypatch.setattr(source, "_hash", lambda path, *rest: hashed.append(path.name) or real(path, *rest))
    download.check(folder)
    assert sorted(hashed) == sorted([*FILES, *WORDS])
    download.check(folder)
    assert len(hashed) == 3
    (folder / "config.json").touch()
    download.check(folder)
    assert hashed[3:] == ["config.json"]
