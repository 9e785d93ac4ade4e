"""A host without a listening server, in a process of Ray's. This module travels there as it is, so until the host has started it may import
nothing but the standard library."""

import os
import platform
import queue
import sys
import tempfile
import threading


class Worker:
    """Executes what leads to a sampler, and then obeys orders about its candidates (see serve.py). Every answer is a dictionary; one with
    "error" says why there are no more."""

    def boot(self, folder, arguments, environment, threads):
        """Start the host in its folder, which COMFYUI_PATH of the machine replaces, as its ARGUMENTS replace the arguments."""
        os.environ.update(environment)
        folder = os.environ.get("COMFYUI_PATH", folder)
        if own := os.environ.get("COMFYUI_ARGUMENTS"):
            arguments = own.split()
        if not os.path.exists(os.path.join(folder, "main.py")):
            where = f"{folder} on {platform.node()}"
            return {"error": f"there is no ComfyUI in {where}: start Ray there with its folder as COMFYUI_PATH, see docs/scaleout.md"}
        # The host's logger wraps the standard streams and lets the old ones be collected, which would close Ray's.
        self.streams = sys.stdout, sys.stderr
        # The host empties its temp folder when it starts, and that of the server is in use.
        self.scratch = tempfile.TemporaryDirectory(prefix="group-inference-worker-", ignore_cleanup_errors=True)
        sys.path.insert(0, folder)
        os.chdir(folder)
        sys.argv = ["main.py", *arguments, "--temp-directory", self.scratch.name, "--database-url", "sqlite:///:memory:"]
        import comfy.options

        comfy.options.enable_args_parsing()
        import main

        _, self.server, _ = main.start_comfyui()
        import comfy.model_management
        import execution
        import torch

        torch.set_num_threads(threads)
        self.server.last_prompt_id = self.server.last_node_id = self.server.client_id = None
        caches = {"lru": 0, "ram": 0, "ram_inactive": 0}
        self.executor = execution.PromptExecutor(self.server, cache_type=execution.CacheType.CLASSIC, cache_args=caches)
        self.serve = next((module for name, module in list(sys.modules.items()) if name.endswith(".scaleout.serve")), None)
        if self.serve is None:
            return {"error": f"the ComfyUI in {folder} on {platform.node()} does not have Group Inference: install it there"}
        self.channel = self.thread = None
        device = comfy.model_management.get_torch_device()
        return {"machine": platform.node(), "pid": os.getpid(), "device": comfy.model_management.get_torch_device_name(device)}

    def begin(self, prompt, node, job):
        """Execute a graph until one of its nodes samples; the answer of the run when it is ready."""
        if self.thread:
            self.thread.join()
        self.channel = self.serve.channel = Channel(job)
        self.thread = threading.Thread(target=self._execute, args=(prompt, node, self.channel), daemon=True)
        self.thread.start()
        return self.channel.answers.get()

    def order(self, name, what):
        self.channel.orders.put((name, what))
        return self.channel.answers.get()

    def end(self):
        """Leave the run, within a model call; may be called while another call waits."""
        import nodes

        if self.channel and self.thread.is_alive():
            nodes.interrupt_processing(True)
            self.channel.orders.put(None)

    def pulse(self):
        """What changes while something goes on; may be called while another call waits."""
        hub = self.channel and self.channel.hub
        return self.server.last_node_id, self.channel and self.channel.looked, hub and hub.model_seconds

    def _execute(self, prompt, node, channel):
        import nodes

        try:
            self.executor.execute(prompt, channel.job["id"], {}, [node])
            failed = [data for kind, data in self.executor.status_messages if kind == "execution_error"]
            said = [f"{data['node_type']} failed there: {' '.join(data['exception_message'].split())}" for data in failed]
            channel.answers.put({"error": said[0] if said else "it has left the run"})
        except Exception as e:  # of the executor itself
            channel.answers.put({"error": f"{type(e).__name__}: {e}"})
        finally:
            nodes.interrupt_processing(False)


class Channel:
    """Between the thread that samples and whoever gives orders. hub: of the run, while there is one; looked: at how many blocks so far."""

    def __init__(self, job):
        self.job, self.orders, self.answers, self.hub = job, queue.Queue(), queue.Queue(), None
        self.looked = 0
