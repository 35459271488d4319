"""The client of infini-gram's web interface, against a server on loopback that counts for real."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts import NgramService, ngram_log_probabilities, parse_service

CORPUS = "the cat sat on the mat and the cat ran"


class Server(ThreadingHTTPServer):
    """Speaks as https://infini-gram.io/api_doc says; `failures` are answered before anything sensible."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.failures: list[int | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question)
        failure = self.server.failures.pop(0) if self.server.failures else 200
        if failure is None:  # hang up
            self.connection.close()
            return
        answer: dict[str, Any] = {"error": f"no index {question['index']}"}
        if question["index"] == "v4_made_up":
            words, query = CORPUS.split(), question["query"].split()
            count = sum(words[i : i + len(query)] == query for i in range(len(words) - len(query) + 1))
            answer = {"count": count if query else len(words), "approx": False, "latency": 0.1}
        body = json.dumps(answer).encode() if failure == 200 else b"busy"
        self.send_response(failure)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def service(server: Server, tmp_path: Path, index: str = "v4_made_up") -> NgramService:
    return NgramService(index, server.url, tmp_path / "cache.sqlite", seconds_between=0.0, first_pause=0.001)


def test_counts_are_asked_for_once_and_kept(server: Server, tmp_path: Path) -> None:
    asking = service(server, tmp_path)
    ids = asking.ids(["the", "cat", "dog", "sat"])
    assert asking.total == 10
    assert asking.count(ids[[[0, 1], [1, 3], [0, 2]]]).tolist() == [2, 1, 0]
    assert server.asked[1] == {"index": "v4_made_up", "query_type": "count", "query": "the cat"}
    number = len(server.asked)
    again = service(server, tmp_path)
    ids = again.ids(["sat", "the", "cat"])  # other numbers, the same words
    assert again.count(ids[[[1, 2], [2, 0]]]).tolist() == [2, 1]
    assert again.total == 10
    assert len(server.asked) == number


def test_backoff_asks_for_nothing_that_cannot_be_there(server: Server, tmp_path: Path) -> None:
    asking = service(server, tmp_path)
    words = ["the", "dog", "the", "cat", "sat"]
    scores = ngram_log_probabilities(asking.ids(words), np.arange(5), asking)
    assert scores[2, 4] == pytest.approx(np.log(1 / 2))  # the cat sat: 1 of 2 the cat
    asked = {question["query"] for question in server.asked}
    assert "the cat sat" in asked
    assert not any("dog" in query.split() and " " in query for query in asked)


def test_a_server_that_stumbles_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.failures = [503, None, 429, 200]
    assert service(server, tmp_path).total == 10
    assert len(server.asked) == 4


def test_a_server_that_is_down_is_said_and_what_was_answered_kept(server: Server, tmp_path: Path) -> None:
    asking = service(server, tmp_path)
    ids = asking.ids(["the", "cat"])
    asking.count(ids[:1, None])
    server.failures = [503] * 6
    with pytest.raises(PhasescopeError, match=r"could not be asked .* \(it answers 503, 6 times\)\. Try again later"):
        asking.count(ids[:, None])
    number = len(server.asked)
    assert asking.count(ids[:, None]).tolist() == [3, 2]
    assert len(server.asked) == number + 1  # "the" was known


def test_an_index_that_the_server_does_not_have_is_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="no index v9"):
        _ = service(server, tmp_path, "v9").total
    assert len(server.asked) == 1  # a refusal is not asked again


def test_questions_are_asked_politely(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("phasescope.texts.counts.ngram_web.time.sleep", slept.append)
    asking = NgramService("v4_made_up", server.url, tmp_path / "cache.sqlite")
    ids = asking.ids(["the", "cat", "sat"])
    asking.count(ids[:, None])
    assert len(server.asked) == 3
    assert sum(seconds > 0.1 for seconds in slept) == 2  # before the second and the third


def test_names_of_services() -> None:
    assert parse_service("corpus.txt") is None
    found = parse_service("infini-gram:v4_pileval_llama")
    assert found is not None
    assert (found.index, found.endpoint) == ("v4_pileval_llama", "https://api.infini-gram.io/")
    own = parse_service("infini-gram:mine@http://127.0.0.1:9/")
    assert own is not None
    assert own.endpoint == "http://127.0.0.1:9/"
    with pytest.raises(PhasescopeError, match="names no corpus"):
        parse_service("infini-gram:")
