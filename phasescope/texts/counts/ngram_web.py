"""Counts from infini-gram's public web interface (https://infini-gram.io/api_doc): the Pile and other large corpora.

Every answer is kept on disk, so that no question is asked twice; questions are asked one after another, politely.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.console import progress
from phasescope.errors import BadArgumentError, PhasescopeError

if TYPE_CHECKING:
    import httpx
    from jaxtyping import Int

ENDPOINT = "https://api.infini-gram.io/"
PREFIX = "infini-gram:"
SECONDS_BETWEEN = 0.2
TRIES = 6
_LATER = {408, 425, 429, 500, 502, 503, 504}


class NgramService:
    """An index on infini-gram's servers, asked by its text; implements `Counts`.

    Words are joined by blanks: the server cuts them into tokens of its own, and counts those.

    Args:
        index: its name there, `v4_pileval_llama`.
        endpoint: another server that speaks the same language.
        cache: the file of answers; in the user's cache directory if not given.
        seconds_between: the least time between two questions.
        first_pause: seconds before a failed question is asked again; doubles each time.

    Raises (when asked): PhasescopeError, if the server refuses the question or cannot be reached after several tries.
    What was answered before is kept.
    """

    longest = 100

    def __init__(
        self,
        index: str,
        endpoint: str = ENDPOINT,
        cache: Path | None = None,
        seconds_between: float = SECONDS_BETWEEN,
        first_pause: float = 1.0,
    ) -> None:
        self.index, self.endpoint = index, endpoint
        self._cache = cache or _default_cache()
        self._seconds_between, self._first_pause = seconds_between, first_pause
        self._asked = -float("inf")
        self._words: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Tokens in the corpus: how often nothing at all occurs."""
        return self._count_texts([""])[0]

    def ids(self, words: Sequence[str]) -> Int[np.ndarray, "words"]:
        return np.array([self._words.setdefault(word, len(self._words)) for word in words], dtype=np.int64)

    def count(self, grams: Int[np.ndarray, "grams n"]) -> Int[np.ndarray, "grams"]:
        words = list(self._words)
        return np.array(
            self._count_texts([" ".join(words[i] for i in gram) for gram in grams.tolist()]), dtype=np.int64
        )

    def _count_texts(self, texts: Sequence[str]) -> list[int]:
        """From the cache where it has them; asked for otherwise, each answer kept at once."""
        import httpx

        self._cache.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._cache, timeout=60)) as answers:
            answers.execute(
                "CREATE TABLE IF NOT EXISTS counts (endpoint TEXT, corpus TEXT, text TEXT, count INTEGER, "
                "PRIMARY KEY (endpoint, corpus, text)) WITHOUT ROWID"
            )
            known: dict[str, int] = {}
            for text in texts:
                query = "SELECT count FROM counts WHERE endpoint = ? AND corpus = ? AND text = ?"
                row = answers.execute(query, (self.endpoint, self.index, text)).fetchone()
                if row:
                    known[text] = int(row[0])
            missing = [text for text in dict.fromkeys(texts) if text not in known]
            if missing:
                with (
                    progress(len(missing), f"asking {self.index}", "counts") as bar,
                    httpx.Client(timeout=30) as client,
                ):
                    for text in missing:
                        known[text] = self._ask(client, text)
                        row = (self.endpoint, self.index, text, known[text])
                        with answers:
                            answers.execute("INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?)", row)
                        bar.advance()
        return [known[text] for text in texts]

    def _ask(self, client: httpx.Client, text: str) -> int:
        import httpx

        question = {"index": self.index, "query_type": "count", "query": text}
        why, pause = "", self._first_pause
        for attempt in range(TRIES):
            if attempt:
                time.sleep(pause)
                pause *= 2
            time.sleep(max(0.0, self._asked + self._seconds_between - time.monotonic()))
            self._asked = time.monotonic()
            try:
                response = client.post(self.endpoint, json=question)
            except httpx.HTTPError as error:
                why = str(error) or type(error).__name__
                continue
            if response.status_code in _LATER:
                why = f"it answers {response.status_code}"
                continue
            return self._answer(response, text)
        raise PhasescopeError(
            f"{self.endpoint} could not be asked for counts in {self.index} ({why}, {TRIES} times). Try again later: "
            "what it has answered is kept. Or give a corpus of your own: --reference FILE."
        )

    def _answer(self, response: httpx.Response, text: str) -> int:
        try:
            answer: Any = response.json()
        except ValueError:
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("count"), int):
            return int(answer["count"])
        why = answer.get("error") if isinstance(answer, dict) else None
        raise PhasescopeError(
            f"{self.endpoint} does not count {text!r} in {self.index}: {why or f'it answers {response.status_code}'}. "
            "The names of its corpora are in https://infini-gram.io/api_doc."
        )


def parse_service(reference: str) -> NgramService | None:
    """The service that `infini-gram:INDEX` or `infini-gram:INDEX@ENDPOINT` names, or None if it is no such name."""
    if not reference.startswith(PREFIX):
        return None
    index, _, endpoint = reference.removeprefix(PREFIX).partition("@")
    if not index:
        raise BadArgumentError(f"{reference!r} names no corpus. Write {PREFIX}INDEX, such as {PREFIX}v4_pileval_llama.")
    return NgramService(index, endpoint or ENDPOINT)


def _default_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("phasescope")) / "infini-gram.sqlite"
