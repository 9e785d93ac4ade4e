"""A ComfyUI server with this pack, on a folder of its own: a user's models, outputs and settings are not touched."""

import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from .host import ROOT, HostError, cache_folder

STARTUP_SECONDS = 180


def device_arguments(python):
    """[] where the host finds an accelerator, else ["--cpu"]."""
    code = "import torch; print(torch.cuda.is_available() or torch.backends.mps.is_available() or (hasattr(torch, 'xpu') and torch.xpu.is_available()))"
    out = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return [] if out.stdout.strip() == "True" else ["--cpu"]


def add_pack(custom_nodes):
    """Make this checkout a custom node there: a link, or a copy where links are not allowed."""
    custom_nodes.mkdir(parents=True, exist_ok=True)
    target = custom_nodes / "group_inference"
    # What lies there may belong to another clone.
    if target.is_symlink():
        target.unlink()
    shutil.rmtree(target, ignore_errors=True)
    try:
        target.symlink_to(ROOT, target_is_directory=True)
    except OSError:
        shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(".git", "build", "output", "__pycache__"))


def base_directory(folder):
    """A base directory for ComfyUI that holds nothing but this pack."""
    folder = Path(folder)
    for name in ("models", "input", "output", "temp", "user"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    add_pack(folder / "custom_nodes")
    return ["--base-directory", str(folder), "--database-url", f"sqlite:///{(folder / 'comfyui.db').as_posix()}"]


def user_folders(host):
    """Arguments for a server with this pack on the models, settings and outputs that the user of this host has."""
    if host.ours:
        return base_directory(cache_folder() / "serve")
    if ROOT.parent.resolve() == host.path / "custom_nodes":
        return []
    folder = cache_folder() / "linked"
    add_pack(folder / "custom_nodes")
    config = folder / "extra_model_paths.yaml"
    config.write_text(f"group_inference:\n  base_path: {folder.as_posix()}\n  custom_nodes: custom_nodes\n")
    return ["--extra-model-paths-config", str(config)]


class Client:
    """Talks to a running ComfyUI at an address such as http://127.0.0.1:8188."""

    def __init__(self, address):
        self.address = address.rstrip("/")

    def alive(self):
        return True

    def get(self, path, raw=False):
        with urllib.request.urlopen(f"{self.address}{path}", timeout=60) as answer:
            content = answer.read()
        return content if raw else json.loads(content)

    def post(self, path, data=None):
        """The decoded answer, also that of a refused prompt."""
        request = urllib.request.Request(f"{self.address}{path}", json.dumps(data or {}).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as refused:
            content = refused.read()
        return json.loads(content) if content else None

    def submit(self, graph, **extra):
        """Queue a graph in API form; its id. Raises HostError with the host's words if it is refused, or a part of it is, without which
        the host would run the rest."""
        answer = self.post("/prompt", {"prompt": graph, **extra})
        if "prompt_id" not in answer or answer["node_errors"]:
            found = [
                (i, node["class_type"], e["details"] or e["message"]) for i, node in answer["node_errors"].items() for e in node["errors"]
            ]
            details = "; ".join(f"node {i} ({kind}): {what}" for i, kind, what in found) or answer["error"]["message"]
            raise HostError(f"ComfyUI refused the workflow: {details}")
        return answer["prompt_id"]

    def wait(self, prompt, seconds=600):
        """The history entry of a finished prompt, successful or not."""
        for _ in range(seconds * 10):
            history = self.get(f"/history/{prompt}")
            if prompt in history and history[prompt]["status"]["completed"] is not None and history[prompt]["status"]["status_str"]:
                return history[prompt]
            if not self.alive():
                raise HostError("ComfyUI stopped while working.")
            time.sleep(0.1)
        raise HostError(f"The workflow did not finish within {seconds} seconds.")

    def error(self, entry):
        """The error sentence of a failed history entry, None of a successful one."""
        for kind, data in entry["status"]["messages"]:
            if kind == "execution_error":
                return data["exception_message"].strip()
        return None

    def pictures(self, entry, node):
        """PIL images of what a node has shown or saved, none if it did neither. entry: of the history."""
        from PIL import Image  # of the host

        found = entry["outputs"].get(node, {}).get("images", [])
        return [Image.open(io.BytesIO(self.image(one))).convert("RGB") for one in found]

    def image(self, entry):
        """Raw bytes of one of a history entry's images: {"filename", "subfolder", "type"}."""
        return self.get("/view?" + urllib.parse.urlencode(entry), raw=True)


class Server(Client):
    """Context manager: a running server on a free port of this machine.

    folders: arguments that say where its models and outputs are, a temporary base directory if None; log: where its output goes
    (None: the terminal). Raises HostError when it does not come up.
    """

    def __init__(self, host, extra=(), log=None, folders=None):
        self.host, self.extra, self.log, self.folders = host, list(extra), log, folders

    def alive(self):
        return self.process.poll() is None

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="group-inference-", ignore_cleanup_errors=True)
        self.folder = Path(self.scratch.name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        super().__init__(f"http://127.0.0.1:{self.port}")
        folders = base_directory(self.folder) if self.folders is None else self.folders
        command = [self.host.python, str(self.host.path / "main.py"), "--port", str(self.port), *map(str, folders), *self.extra]
        if self.log:
            self.log.parent.mkdir(parents=True, exist_ok=True)
        self.output = open(self.log, "w") if self.log else None
        # The network is not needed and must not be waited for.
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        self.process = subprocess.Popen(
            command, cwd=self.host.path, stdout=self.output, stderr=subprocess.STDOUT if self.log else None, env={**os.environ, **offline}
        )
        try:
            self._wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.output:
            self.output.close()
        self.scratch.cleanup()

    def _wait_until_up(self):
        for _ in range(STARTUP_SECONDS * 4):
            if not self.alive():
                raise HostError(f"ComfyUI stopped while starting{f', see {self.log}' if self.log else ''}.")
            try:
                self.get("/system_stats")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.25)
        raise HostError(f"ComfyUI did not answer on port {self.port} within {STARTUP_SECONDS} seconds.")
