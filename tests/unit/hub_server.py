"""A small Hugging Face hub on loopback: what huggingface_hub asks for, with counters and with faults to order."""

import hashlib
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Serves at `url` while it is entered.

    requests: paths of repositories that were asked for; served: bytes of content sent, by file name. Faults: cut[file] drops the connection once that many
    bytes of the file were sent in all; instead[file] is sent in place of what the hub states; refuse[start of a path] is a
    (status, error code).
    """

    def __init__(self):
        self.repositories, self.requests, self.served = {}, [], Counter()
        self.cut, self.instead, self.refuse = {}, {}, {}

    def commit(self, repository, files):
        """Adds a revision, which is the newest then; returns its hash."""
        revision = hashlib.sha1(repr((repository, files)).encode()).hexdigest()
        self.repositories.setdefault(repository, {})[revision] = files
        return revision

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def point_to(monkeypatch, url):
    """Makes huggingface_hub ask there, which other tests forbid."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        described = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(\w+))?", path)
        resolved = re.fullmatch(r"(?:/cdn)?/([^/]+/[^/]+)/resolve/(\w+)/(.+)", path)
        if not (described or resolved):  # the client may ask about other things than repositories
            return self.answer(404, {})
        self.hub.requests.append(path)
        for start, (status, code) in self.hub.refuse.items():
            if path.startswith(start):
                return self.answer(status, {"X-Error-Code": code})
        if described:
            return self.describe(*described.groups())
        repository, revision, name = resolved.groups()
        if _large(name) and not path.startswith("/cdn"):
            return self.answer(302, {"Location": f"{self.hub.url}/cdn{path}"})
        self.content(name, self.hub.instead.get(name, self.hub.repositories[repository][revision][name]))

    def describe(self, repository, revision):
        revisions = self.hub.repositories[repository]
        if revision not in {None, *revisions}:
            return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        revision = revision or list(revisions)[-1]
        siblings = []
        for name, content in revisions[revision].items():
            sha256 = hashlib.sha256(content).hexdigest()
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
            in_git = pointer if _large(name) else content
            blob = hashlib.sha1(b"blob %d\0" % len(in_git) + in_git).hexdigest()
            lfs = {"lfs": {"sha256": sha256, "size": len(content), "pointerSize": len(pointer)}} if _large(name) else {}
            siblings.append({"rfilename": name, "size": len(content), "blobId": blob, **lfs})
        self.answer(200, {}, json.dumps({"id": repository, "sha": revision, "siblings": siblings}).encode())

    def content(self, name, content):
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        partly = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        rest = content[start:]
        sent = rest[: max(0, self.hub.cut[name] - self.hub.served[name])] if name in self.hub.cut else rest
        self.hub.served[name] += len(sent)
        self.answer(206 if start else 200, {"Content-Length": len(rest), **partly}, sent)

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def _large(name):
    return name.endswith(".safetensors")
