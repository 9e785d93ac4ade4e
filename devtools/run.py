"""python3 dev.py run WORKFLOW: runs a workflow from the shell, with progress, and saves its images and report."""

import argparse
import asyncio
import contextlib
import json
import sys
import uuid
from pathlib import Path

from .host import HostError, host_in_use
from .server import Client, Server, device_arguments, user_folders


def load(path):
    """The graph in API form: of the file itself, or of api/NAME.json beside a workflow as the browser saves it."""
    if not path.exists():
        raise HostError(f"There is no file {path}.")
    graph = json.loads(path.read_text(encoding="utf-8"))
    if "nodes" not in graph:
        return graph
    beside = path.parent / "api" / path.name
    if not beside.exists():
        raise HostError(f"{path} is in the browser's form: export it for the API, and run that file or put it at {beside}.")
    return json.loads(beside.read_text(encoding="utf-8"))


def set_input(graph, text):
    """Apply NODE.INPUT=VALUE; NODE is an id, a title or a class that occurs once, VALUE is JSON or else a string."""
    where, equals, value = text.partition("=")
    node, dot, name = where.partition(".")
    if not equals or not dot:
        raise HostError(f"--set needs NODE.INPUT=VALUE, not '{text}'.")
    found = [i for i, n in graph.items() if node in (i, n.get("_meta", {}).get("title"), n["class_type"])]
    if node in graph:
        found = [node]
    if len(found) != 1:
        known = ", ".join(f"{i} ({n['class_type']})" for i, n in graph.items())
        raise HostError(f"--set names {len(found)} nodes by '{node}', not one: the workflow has {known}.")
    inputs = graph[found[0]]["inputs"]
    if name not in inputs:
        raise HostError(f"Node {node} has no input '{name}': it has {', '.join(inputs)}.")
    try:
        inputs[name] = json.loads(value)
    except json.JSONDecodeError:
        inputs[name] = value


def refuse_missing_files(client, workflow, graph):
    """Raise HostError that says where the model files are to be had which the workflow names and this ComfyUI lacks."""
    used = {value for node in graph.values() for value in node["inputs"].values() if isinstance(value, str)}
    nodes = json.loads(workflow.read_text(encoding="utf-8")).get("nodes", [])
    models = {model["name"]: model for node in nodes for model in node["properties"].get("models", [])}
    wanted = [model for name, model in models.items() if name in used and name not in client.get(f"/models/{model['directory']}")]
    if wanted:
        files = ", ".join(f"{model['name']} in models/{model['directory']} (from {model['url']})" for model in wanted)
        raise HostError(f"This ComfyUI does not have all files that {workflow.name} needs: {files}.")


async def follow(client, graph, identity):
    """Submit and show each node's progress until the workflow is done; its history entry."""
    import aiohttp  # of the host

    address = client.address.replace("http", "ws", 1) + f"/ws?clientId={identity}"
    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
        prompt = client.submit(graph, client_id=identity)
        async for message in socket:
            if message.type != aiohttp.WSMsgType.TEXT:
                continue
            event = json.loads(message.data)
            data = event.get("data", {})
            if data.get("prompt_id") != prompt:
                continue
            if event["type"] == "progress":
                print(f"\r{graph[data['node']]['class_type']:24}{data['value']:6} of {data['max']}", end="", flush=True)
            if event["type"] in ("execution_success", "execution_error", "execution_interrupted"):
                print()
                break
    return client.wait(prompt)


def save(client, entry, folder):
    """Images and texts of all output nodes; the files written."""
    written = []
    for node, output in entry["outputs"].items():
        for image in output.get("images", []):
            written.append(folder / image["filename"])
            written[-1].write_bytes(client.image(image))
        for text in output.get("text", []):
            with contextlib.suppress(json.JSONDecodeError):
                if "rounds" in json.loads(text):
                    path = folder / "report.json"
                    written.append(folder / f"report_{node}.json" if path in written else path)
                    written[-1].write_text(json.dumps(json.loads(text), indent=1), encoding="utf-8")
    return written


def main():
    parser = argparse.ArgumentParser(prog="dev.py run", description=__doc__)
    parser.add_argument("workflow", type=Path)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NODE.INPUT=VALUE", help="change an input, by node id, title or class"
    )
    parser.add_argument("--server", help="address of a running ComfyUI, http://127.0.0.1:8188 for example; without it one is started")
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for images and report")
    options = parser.parse_args()
    graph = load(options.workflow)
    for text in options.set:
        set_input(graph, text)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.server:
        running = contextlib.nullcontext(Client(options.server))
    else:
        host = host_in_use()
        running = Server(host, device_arguments(host.python), options.output / "comfyui.log", user_folders(host))
    with running as client:
        try:
            refuse_missing_files(client, options.workflow, graph)
            entry = asyncio.run(follow(client, graph, uuid.uuid4().hex))
        except OSError as e:
            raise HostError(f"No ComfyUI answers at {client.address} ({e}): start it, or leave --server out.") from e
        # What was finished before an error is saved as well.
        written = save(client, entry, options.output)
        error = client.error(entry)
    for path in written:
        print(path)
    if error:
        raise HostError(error)


if __name__ == "__main__":
    try:
        main()
    except HostError as e:
        sys.exit(str(e))
