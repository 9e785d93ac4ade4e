"""Words for users: in one line, and on the node that is running, where they look."""

import sys

from comfy_execution.utils import get_executing_context


def in_one_line(error):
    """What somebody else's error says, in a sentence of ours."""
    return " ".join(str(error).split()) or type(error).__name__


def show_on_node(warnings):
    """As the host's progress text; nothing without warnings, or outside a server."""
    # A process that is no server has not loaded the host's module of that name, and an old host cannot load it late.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    context = get_executing_context()
    if warnings and server and context:
        server.send_progress_text("\n".join(warnings), context.node_id)
