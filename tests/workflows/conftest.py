"""A server that finds every file the shipped workflows ask for, with tiny models behind the names, and a browser."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import shipped
import torch
from PIL import Image
from shipped import ROOT

from devtools.browser import browser_programs
from devtools.host import HostError, host_in_use
from devtools.server import Server, device_arguments

FRONTEND = Path(__file__).resolve().parent / "frontend"
# (name of the server's fixture, node renderer).
PLACES = [(server, renderer) for server in ("server", "newest_frontend") for renderer in ("canvas", "vue")]
# Of tests/architectures.py's SDXL, which every LoRA here changes.
LAST_LAYER = (4, 64, 3, 3)


@contextlib.contextmanager
def running(folder, *arguments):
    """A server with all that workflows ask for, in a folder of its own."""
    wanted = set().union(*map(shipped.model_files, shipped.NAMES))
    for directory, name in wanted:
        (folder / directory).mkdir(exist_ok=True)
        (folder / directory / name).touch()
        if directory == "loras":
            safetensors.torch.save_file({"lora_unet_out_2.diff": torch.full(LAST_LAYER, 0.05)}, folder / directory / name)
    for name, garden in (("clip-vit-base-patch32", "garden-clip"), ("dinov2-base", "garden-dinov2")):
        shutil.copytree(ROOT / "garden" / "weights" / garden, folder / "group_scorers" / name)
    shutil.copytree(ROOT / "tests" / "workflows" / "tiny_pack", folder / "custom_nodes" / "tiny_pack")
    config = folder / "extra_model_paths.yaml"
    directories = sorted({directory for directory, _ in wanted} | {"group_scorers", "custom_nodes"})
    config.write_text("\n".join(["tiny:", f"  base_path: {folder.as_posix()}", *(f"  {name}: {name}" for name in directories)]))
    host = host_in_use()
    # For tiny_pack; and models this small lose by threads that wait for each other.
    os.environ |= {"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    with Server(
        host, [*device_arguments(host.python), "--extra-model-paths-config", str(config), *arguments], folder / "log.txt"
    ) as server:
        yield server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("workflows")) as server:
        yield server


@pytest.fixture(scope="session")
def newest_frontend(request, tmp_path_factory):
    """A server with a newer frontend than the host brings, where dev.py has one."""
    if "NEWER_FRONTEND" not in os.environ:
        yield request.getfixturevalue("server")
        return
    with running(tmp_path_factory.mktemp("newer"), "--front-end-root", os.environ["NEWER_FRONTEND"]) as server:
        yield server


@pytest.fixture(scope="module", params=PLACES, ids="-".join)
def place(request):
    """(server, node renderer): what people see is looked at in both renderers of both frontends."""
    return request.getfixturevalue(request.param[0]), request.param[1]


@pytest.fixture(scope="session")
def pictures_folder():
    """Where pictures of the board are left, to be looked at."""
    folder = ROOT / "output" / "board"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def in_browser():
    """What a program of frontend/ prints when it is run. Without a browser these tests are skipped, in CI they fail."""
    with contextlib.ExitStack() as opened:
        try:
            run = opened.enter_context(browser_programs(FRONTEND))
        except HostError as e:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"Nothing was opened in a browser: {e}")
        yield run


@pytest.fixture(scope="session")
def seen(in_browser, server):
    """What the frontend makes of all workflows and blocks, by name and renderer."""
    for name in shipped.NAMES:
        for node in shipped.browser_form(name)["nodes"]:
            if node["type"] == "LoadImage":
                Image.new("RGB", (64, 64)).save(server.folder / "input" / node["widgets_values"][0])
    files = [*(shipped.FOLDER / f"{name}.json" for name in shipped.NAMES), *shipped.BLOCKS]
    return {Path(file).stem: found for file, found in in_browser("open.mjs", server.address, *files).items()}
