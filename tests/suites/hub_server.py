"""A small hub on loopback that speaks as much of the real one's protocol as its own client uses.

Large files (weights) are answered with a redirect to a second server, as the real hub does with its CDN.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import pytest

LARGE = (".safetensors", ".bin", ".pth")
_PIECE = 1 << 15


@dataclass
class Repository:
    """One model repository: a folder of files for each branch."""

    branches: Mapping[str, Path]
    tags: Mapping[str, Path] = field(default_factory=dict)
    titles: Mapping[str, Path] = field(default_factory=dict)
    """The commits of the default branch by their titles, the newest first."""
    listed: Mapping[str, Mapping[str, tuple[int, str]]] = field(default_factory=dict)
    """Branches that are only listed: of each the size of every file and what stands for its contents."""
    access: str = "open"
    """`open`, `private` (shown to nobody) or `gated`."""
    moved_to: str = ""
    """The repository that it is called now: whoever asks is led there."""

    @property
    def _named(self) -> dict[str, Path]:
        return {**self.branches, **self.tags, **self.titles, **dict.fromkeys(self.listed, Path())}

    @cached_property
    def commits(self) -> dict[str, str]:
        """The commit of each branch, tag and title."""
        return {name: hashlib.sha1(f"commit {name}".encode()).hexdigest() for name in self._named}

    def folder(self, revision: str) -> Path | None:
        """The files at a branch, tag or commit."""
        named = self._named
        by_commit = {commit: named[name] for name, commit in self.commits.items() if name in named}
        return {**self.branches, **self.tags}.get(revision) or by_commit.get(revision)

    def files_listed(self, revision: str) -> Mapping[str, tuple[int, str]] | None:
        """What is listed at a branch or commit, of those that are only listed."""
        names = {self.commits[name]: name for name in self.listed}
        return self.listed.get(names.get(revision, revision))


@dataclass
class Fault:
    """An answer instead of the right one, to the next `times` requests whose line (`GET /path`) has `part` in it."""

    part: str
    status: int
    times: int = 1_000_000
    headers: Mapping[str, str] = field(default_factory=dict)


class HubServer:
    """Serves repositories while the `with` block lasts.

    `requests` is what was asked for, in order, and `ranges` the parts of large files. Faults: those in `faults`;
    `status` answers everything with that HTTP status; a number of bytes in `cut_after` breaks off the next download of
    a large file there; `rate` is how many bytes of large files are sent in a second. `stop` takes the hub off the
    network.
    """

    def __init__(self, repositories: dict[str, Repository]) -> None:
        self.repositories = repositories
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.faults: list[Fault] = []
        self.status: int | None = None
        self.cut_after: int | None = None
        self.rate: float | None = None
        self.blobs: dict[str, Path] = {}
        self._servers = [self._server(_Hub), self._server(_Cdn)]

    def _server(self, handler: type[_Handler]) -> ThreadingHTTPServer:
        bound = type(handler.__name__, (handler,), {"hub": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
        server.daemon_threads = True
        return server

    @property
    def url(self) -> str:
        """The endpoint to give to the client."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn(self) -> str:
        """Where large files are."""
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What leads the client of another process here."""
        return {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_TOKEN_PATH": "/dev/null"}

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


@contextmanager
def serving(repositories: dict[str, Repository], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub which the real client of this process talks to, with its cache in an empty folder, and little patience."""
    with HubServer(repositories) as server:
        connect(server, cache, monkeypatch)
        yield server


def bytes_on_disk(cache: Path) -> int:
    """The bytes of all that was fetched into the cache, finished or not."""
    found = 0
    for path in cache.glob("models--*/blobs/*"):
        try:
            found += path.stat().st_size
        except FileNotFoundError:  # It has just been removed.
            continue
    return found


def connect(server: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the real client of this process talk to a hub: see `serving`."""
    import platformdirs
    from huggingface_hub import constants

    from phasescope.suites import download, fetched, transfer

    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(cache.parent / f"{cache.name}-{name}"))
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    fetched.fetched.clear()
    monkeypatch.setattr(transfer, "PATIENCE", (0.01,) * 4)
    download._listing.cache_clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are kept in `HubServer.requests`."""

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # Whoever asked has gone.

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        line = f"{self.command} {self.path}"
        self.hub.requests.append(line)
        for fault in self.hub.faults:
            if fault.part in line and fault.times > 0:
                fault.times -= 1
                self._answer(fault.status, b"{}", dict(fault.headers))
                return
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
            self._write(body)

    def _write(self, body: bytes) -> None:
        self.wfile.write(body)


class _Hub(_Handler):
    def _serve(self, parts: list[str]) -> None:
        if parts == ["api", "models"]:
            self._models(parse_qs(urlsplit(self.path).query))
            return
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
        elif repository.moved_to:
            self._answer(307, b"", {"Location": self.path.replace(name, repository.moved_to, 1)})
        elif repository.access == "gated" and verb != "refs":
            self._error(403, "GatedRepo", f"Access to model {name} is restricted")
        elif verb == "refs":
            branches = [*repository.branches, *repository.listed]
            self._json(
                {
                    "branches": [_ref("heads", branch, repository) for branch in branches],
                    "tags": [_ref("tags", tag, repository) for tag in repository.tags],
                    "converts": [],
                }
            )
        elif verb == "commits":
            self._json([_commit(title, repository.commits[title]) for title in repository.titles])
        elif verb == "tree" and (files := repository.files_listed(rest[0])) is not None:
            self._json([_listed(path, size, content) for path, (size, content) in files.items()])
        elif (folder := repository.folder(rest[0])) is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {rest[0]}")
        else:
            commit = repository.commits.get(rest[0], rest[0])
            answer = {"revision": self._revision, "tree": self._tree, "resolve": self._resolve}[verb]
            answer(name, commit, folder, rest[1:])

    def _models(self, query: dict[str, list[str]]) -> None:
        """The repositories of an author with a word in their names, two on a page."""
        author, word = query.get("author", [""])[0], query.get("search", [""])[0].lower()
        first = int(query.get("cursor", ["0"])[0])
        found = [
            name
            for name, repository in sorted(self.hub.repositories.items())
            if repository.access != "private" and name.startswith(f"{author}/") and word in name.lower()
        ]
        page = json.dumps([{"_id": name, "id": name, "modelId": name} for name in found[first : first + 2]]).encode()
        more = f'<{self.hub.url}/api/models?author={author}&search={word}&cursor={first + 2}>; rel="next"'
        headers = {"Link": more} if len(found) > first + 2 else {}
        self._answer(200, page, {"Content-Type": "application/json", **headers})

    def _revision(self, name: str, commit: str, folder: Path, rest: list[str]) -> None:
        siblings = [{"rfilename": path} for path in _files(folder)]
        self._json({"_id": commit, "id": name, "sha": commit, "private": False, "siblings": siblings})

    def _tree(self, name: str, commit: str, folder: Path, rest: list[str]) -> None:
        self._json([_entry(path, file) for path, file in _files(folder).items()])

    def _resolve(self, name: str, commit: str, folder: Path, rest: list[str]) -> None:
        file = folder / "/".join(rest)
        if not file.is_file():
            self._error(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if file.suffix not in LARGE:
            content = file.read_bytes()
            self._answer(200, content, {**headers, "ETag": f'"{_blob(content)}"'})
            return
        digest = digest_of(file)
        self.hub.blobs[digest] = file
        linked = {"X-Linked-Size": str(file.stat().st_size), "X-Linked-ETag": f'"{digest}"'}
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

    def _write(self, body: bytes) -> None:
        rate = self.hub.rate
        if rate is None:
            self.wfile.write(body)
            return
        begun = time.monotonic()
        piece = max(_PIECE, int(min(rate, 1e9) / 100))  # A hundredth of a second's, so that a fast hub works little.
        for first in range(0, len(body), piece):
            self.wfile.write(body[first : first + piece])
            time.sleep(max(0.0, begun + (first + piece) / rate - time.monotonic()))


def _listed(path: str, size: int, content: str) -> dict[str, Any]:
    digest = hashlib.sha256(content.encode()).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": size, "oid": _blob(content.encode())}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": digest, "size": size, "pointerSize": 135}
    return entry if content else {**entry, "oid": None, "lfs": None}


def _ref(kind: str, name: str, repository: Repository) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": repository.commits[name]}


def _commit(title: str, commit: str) -> dict[str, Any]:
    return {"id": commit, "title": title, "message": "", "authors": [], "date": "2025-01-01T00:00:00.000Z"}


def _files(folder: Path) -> dict[str, Path]:
    return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}


def _entry(path: str, file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    if file.suffix in LARGE:
        digest = digest_of(file)
        lfs = {"oid": digest, "size": size, "pointerSize": 135}
        return {"type": "file", "path": path, "size": size, "oid": _blob(digest.encode()), "lfs": lfs}
    return {"type": "file", "path": path, "size": size, "oid": _blob(file.read_bytes())}


def digest_of(file: Path) -> str:
    """Of a large file's content; computed once."""
    return _hashed(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _hashed(file: Path, changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _blob(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
