"""Warnings where users look: on the node that is running."""

from comfy_execution.utils import get_executing_context


def show_on_node(warnings):
    """As the host's progress text; nothing without warnings, or outside a server."""
    from server import PromptServer  # the host's, which a process without a server has not loaded

    server, context = getattr(PromptServer, "instance", None), get_executing_context()
    if warnings and server and context:
        server.send_progress_text("\n".join(warnings), context.node_id)
