"""Words for users: in one line, and on the node that is running, where they look."""

import sys

from comfy_execution.utils import get_executing_context


def in_one_line(error):
    """What somebody else's error says, in a sentence of ours."""
    return " ".join(str(error).split()) or type(error).__name__


def prompt_server():
    """The host's, None outside a server."""
    # A process that is no server has not loaded the host's module of that name, and an old host cannot load it late.
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def running_prompt():
    """(its graph in API form, what was sent beside it) of the prompt that is running; None outside a server."""
    server, context = prompt_server(), get_executing_context()
    if server is None or context is None:
        return None
    running = list(server.prompt_queue.currently_running.values())
    return next(((graph, extra) for _, prompt_id, graph, extra, *_ in running if prompt_id == context.prompt_id), None)


def show_on_node(warnings):
    """As the host's progress text; nothing without warnings, or outside a server."""
    server, context = prompt_server(), get_executing_context()
    if warnings and server and context:
        server.send_progress_text("\n".join(warnings), context.node_id)
