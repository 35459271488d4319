"""A small hub on loopback that speaks as much of the real one's protocol as its own client uses.

Large files (weights) are answered with a redirect to a second server, as the real hub does with its CDN.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".pth")


@dataclass
class Repository:
    """One model repository: a folder of files for each branch."""

    branches: Mapping[str, Path]
    tags: Mapping[str, Path] = field(default_factory=dict)
    access: str = "open"
    """`open`, `private` (shown to nobody) or `gated`."""

    @cached_property
    def commits(self) -> dict[str, str]:
        """The commit of each branch and tag."""
        return {name: hashlib.sha1(f"commit {name}".encode()).hexdigest() for name in {**self.branches, **self.tags}}

    def folder(self, revision: str) -> Path | None:
        """The files at a branch, tag or commit."""
        named = {**self.branches, **self.tags}
        by_commit = {commit: named[name] for name, commit in self.commits.items()}
        return named.get(revision) or by_commit.get(revision)


class HubServer:
    """Serves repositories while the `with` block lasts.

    `requests` is what was asked for, in order, and `ranges` the parts of large files. Faults: `status` answers
    everything with that HTTP status; a number of bytes in `cut_after` breaks off the next download of a large file
    there. `stop` takes the hub off the network.
    """

    def __init__(self, repositories: dict[str, Repository]) -> None:
        self.repositories = repositories
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.status: int | None = None
        self.cut_after: int | None = None
        self.blobs: dict[str, Path] = {}
        self._servers = [self._server(_Hub), self._server(_Cdn)]

    def _server(self, handler: type[_Handler]) -> ThreadingHTTPServer:
        bound = type(handler.__name__, (handler,), {"hub": self})
        return ThreadingHTTPServer(("127.0.0.1", 0), bound)

    @property
    def url(self) -> str:
        """The endpoint to give to the client."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn(self) -> str:
        """Where large files are."""
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def __enter__(self) -> HubServer:
        self._running = list(self._servers)
        for server in self._running:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close both servers: connections are refused from now on."""
        while self._running:
            server = self._running.pop()
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are kept in `HubServer.requests`."""

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        if self.hub.status is not None:
            self._answer(self.hub.status, b"{}")
        else:
            self._serve([unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")])

    def _serve(self, parts: list[str]) -> None:
        raise NotImplementedError

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        # One request a connection, so that none outlives the server.
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _Hub(_Handler):
    def _serve(self, parts: list[str]) -> None:
        if parts[:2] == ["api", "models"]:
            # Of a repository alone the default branch is shown.
            parts = parts[2:] if len(parts) > 4 else [*parts[2:], "revision", "main"]
        if len(parts) < 3:
            # The client also asks for things that have to do with no repository.
            self._error(404, "NotFound", "Not found")
            return
        name, verb, rest = "/".join(parts[:2]), parts[2], parts[3:]
        repository = self.hub.repositories.get(name)
        if repository is None or repository.access == "private":
            # The real hub does not tell a private repository from one that does not exist.
            self._error(401, "RepoNotFound", "Repository not found")
        elif repository.access == "gated" and verb != "refs":
            self._error(403, "GatedRepo", f"Access to model {name} is restricted")
        elif verb == "refs":
            self._json(
                {
                    "branches": [_ref("heads", branch, repository) for branch in repository.branches],
                    "tags": [_ref("tags", tag, repository) for tag in repository.tags],
                    "converts": [],
                }
            )
        elif (folder := repository.folder(rest[0])) is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {rest[0]}")
        else:
            commit = repository.commits.get(rest[0], rest[0])
            answer = {"revision": self._revision, "tree": self._tree, "resolve": self._resolve}[verb]
            answer(name, commit, folder, rest[1:])

    def _revision(self, name: str, commit: str, folder: Path, rest: list[str]) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        siblings = [{"rfilename": file.relative_to(folder).as_posix()} for file in files]
        self._json({"_id": commit, "id": name, "sha": commit, "private": False, "siblings": siblings})

    def _tree(self, name: str, commit: str, folder: Path, rest: list[str]) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        self._json([_entry(file, folder) for file in files])

    def _resolve(self, name: str, commit: str, folder: Path, rest: list[str]) -> None:
        file = folder / "/".join(rest)
        if not file.is_file():
            self._error(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        content = file.read_bytes()
        if file.suffix not in LARGE:
            self._answer(200, content, {**headers, "ETag": f'"{_blob(content)}"'})
            return
        digest = hashlib.sha256(content).hexdigest()
        self.hub.blobs[digest] = file
        linked = {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{digest}"'}
        self._answer(302, b"", {**headers, **linked, "Location": f"{self.hub.cdn}/{digest}"})

    def _json(self, content: Any) -> None:
        self._answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str, message: str) -> None:
        self._answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": message})


class _Cdn(_Handler):
    def _serve(self, parts: list[str]) -> None:
        content = self.hub.blobs[parts[0]].read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {"ETag": f'"{parts[0]}"', "Accept-Ranges": "bytes"}
        status, body = 200, content
        if wanted:
            start, end = int(wanted[1]), int(wanted[2] or len(content) - 1)
            status, body = 206, content[start : end + 1]
            self.hub.ranges.append(wanted[0])
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        cut, self.hub.cut_after = self.hub.cut_after, None
        if cut is None:
            self._answer(status, body, headers)
            return
        self._answer(status, body[:cut], {**headers, "Content-Length": str(len(body))})


def _ref(kind: str, name: str, repository: Repository) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": repository.commits[name]}


def _entry(file: Path, folder: Path) -> dict[str, Any]:
    content = file.read_bytes()
    entry = {"type": "file", "path": file.relative_to(folder).as_posix(), "size": len(content), "oid": _blob(content)}
    if file.suffix in LARGE:
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 135}
    return entry


def _blob(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
