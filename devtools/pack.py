"""The host and this pack in the running process, as the server would load them."""

import importlib.util
import os
import sys

from .host import ROOT


def load_host(*arguments):
    """ComfyUI from COMFYUI_PATH, with these arguments of its command line."""
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    before, sys.argv = sys.argv, ["main.py", *arguments]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.cli_args  # noqa: F401

    sys.argv = before


def load_pack():
    """This checkout as one package, group_inference, if it is not loaded yet."""
    if "group_inference" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location("group_inference", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    sys.modules["group_inference"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["group_inference"])
