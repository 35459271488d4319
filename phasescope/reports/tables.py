"""The tables a report is made of, read once; a table that cannot be had is empty, and the reason is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Made = TypeVar("Made")

_INTERVAL = ("low", "high")
COLUMNS: dict[str, tuple[str, ...]] = {
    "convergence": (
        "size", "seed", "step", "site", "layer", "component", "head", "cka", *_INTERVAL, "cka_debiased", "shuffled",
        "reason",
    ),
    "settling": (
        "size", "seed", "site", "layer", "component", "head", "tau", "settling_step", *_INTERVAL, "last_step",
        "first_step", "first_cka", "shuffled", "moved", "reason",
    ),
    "rank": ("size", "seed", "step", "layer", "component", "kind", "head", "effective_rank", "proportional"),
    "surprisal": ("size", "seed", "step", "surprisal", *_INTERVAL, "unigram", "sequences", "tokens"),
    "seeds": ("size", "step", "kl", *_INTERVAL, "seeds", "missing", "sequences", "tokens"),
    "reference_turns": (
        "size", "turn_step", *_INTERVAL, "first_kl", "turn_kl", "last_kl", "seeds_kl", "seeds_peak_step",
        "seeds_peak_kl", "growth", "growth_low", "growth_high", "turns", "seeds_part", "seeds",
    ),
    "gradients": (
        "size", "seed", "step", "layer", "component", "kind", "head", "norm", *_INTERVAL, "ratio", "proportional",
        "cosine", "cosine_previous", "cosine_previous_error", "batches",
    ),
    "heuristics": ("size", "seed", "step", "unit", "predictor", "pearson", *_INTERVAL, "words", "reference", "reason"),
    "heuristic_peaks": (
        "size", "unit", "seed", "measure", "predictor", "peak_step", *_INTERVAL, "before_next", "at_end"
    ),
    "heuristic_fit": ("size", "seed", "unit", "step", "term", "coefficient", *_INTERVAL, "r2_training", "r2_held_out"),
    "agreement": ("size", "beside_run", "beside_size", "relation", "step", "pearson", *_INTERVAL, "pairs", "words"),
    "minimal_pairs": ("size", "seed", "step", "paradigm", "method", "accuracy", *_INTERVAL, "margin", "pairs"),
    "in_context_learning": ("size", "seed", "step", "early", "late", "score", *_INTERVAL, "sequences"),
    "noise": (
        "size", "seed", "step", "set", "kind", "rate", "small_weight", "large_weight", "ratio", "ratio_low",
        "ratio_high", "sequences",
    ),
    "multiple_choice": ("size", "seed", "step", "task", "accuracy", *_INTERVAL, "chance", "questions"),
    "evaluations": (
        "size", "seed", "step", "task", "metric", "shots", "value", *_INTERVAL, "higher_is_better"
    ),
    "phases": (
        "curve", "size", "seed", "phase", "start", "end", "start_low", "start_high", "label", "slope", "name",
        "evidence", "errors", "points",
    ),
    "link_shares": (
        "size", "seed", "site", "layer", "component", "curve", "phase", "start", "end", "label", "share", *_INTERVAL,
        "seeds", "left_out", "reason",
    ),
    "link_rank": (
        "size", "component", "layer", "weight", "outcome", "method", "term", "estimate", *_INTERVAL, "p", "tau",
        "observations", "seeds", "layers", "left_out", "reason",
    ),
    "link_lags": (
        "size", "site", "layer", "component", "curve", "lag", *_INTERVAL, "factor", "factor_low", "factor_high",
        "correlation", "q", "significant", "seeds", "steps", "left_out", "reason",
    ),
    "first_fifth": (
        "size", "component", "tau", "share", *_INTERVAL, "layers", "seeds", "last_step", "unmoved", "left_out"
    ),
}  # fmt: skip


class RunLike(Protocol):
    """What a report reads of a run."""

    @property
    def path(self) -> Path: ...

    @property
    def manifest(self) -> dict[str, Any]: ...

    @property
    def sizes(self) -> list[str]: ...

    def seeds(self, size: str, /) -> list[int]: ...

    def steps(self, size: str, seed: int | None = None, /) -> list[int]: ...

    def table(self, name: str, /) -> pd.DataFrame: ...


@dataclass(frozen=True)
class Tables:
    """All tables of a run by name."""

    convergence: pd.DataFrame
    settling: pd.DataFrame
    rank: pd.DataFrame
    surprisal: pd.DataFrame
    seeds: pd.DataFrame
    reference_turns: pd.DataFrame
    gradients: pd.DataFrame
    heuristics: pd.DataFrame
    heuristic_peaks: pd.DataFrame
    heuristic_fit: pd.DataFrame
    agreement: pd.DataFrame
    minimal_pairs: pd.DataFrame
    in_context_learning: pd.DataFrame
    noise: pd.DataFrame
    multiple_choice: pd.DataFrame
    evaluations: pd.DataFrame
    phases: pd.DataFrame
    link_shares: pd.DataFrame
    link_lags: pd.DataFrame
    link_rank: pd.DataFrame
    first_fifth: pd.DataFrame
    why_missing: Mapping[str, str] = field(default_factory=dict)

    def of_size(self, size: str) -> Tables:
        """The rows about one size, looked for once and not once per figure."""
        if size not in self._of_size:
            parts = {name: getattr(self, name) for name in COLUMNS}
            chosen = {name: table[table["size"] == size] for name, table in parts.items()}
            self._of_size[size] = Tables(**chosen, why_missing=self.why_missing)
        return self._of_size[size]

    @cached_property
    def _of_size(self) -> dict[str, Tables]:
        return {}

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What is computed of these tables for many figures or sentences, computed for the first of them."""
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made

    @cached_property
    def _made(self) -> dict[str, Any]:
        return {}

    @property
    def tau(self) -> float:
        """The τ that is shown first."""
        return usual_tau(self.taus)

    @property
    def taus(self) -> list[float]:
        """Each τ that settling steps were computed for."""
        return sorted(float(tau) for tau in self.settling["tau"].dropna().unique())


def usual_tau(taus: Iterable[float]) -> float:
    """0.9 if settling was computed for it, else the middle one."""
    known = sorted({float(tau) for tau in taus})
    return 0.9 if 0.9 in known or not known else known[len(known) // 2]


def read_tables(run: RunLike) -> Tables:
    """Every table of the run. One that an analysis refuses to make, with a sentence why, is empty here."""
    import pandas as pd

    tables: dict[str, pd.DataFrame] = {}
    why: dict[str, str] = {}
    for name, columns in COLUMNS.items():
        try:
            table = run.table(name)
        except PhasescopeError as error:
            table, why[name] = pd.DataFrame(), nowhere(str(error), run.path)
        if absent := table.attrs.get("absent"):
            why[name] = str(absent)
        if not set(columns) <= set(table.columns):
            if len(table):
                lacking = ", ".join(column for column in columns if column not in table.columns)
                why[name] = f"The {name} table lacks the columns {lacking}: run `phasescope analyse` again."
            table = pd.DataFrame(columns=list(columns))
        tables[name] = _coded(table)
    if run.manifest.get("asked", {}).get("remote") and tables["seeds"].empty:
        why.setdefault(
            "seeds", "Models that are read remotely keep their weights there, so no two seeds were compared."
        )
    return Tables(**tables, why_missing=why)


def nowhere(text: str, path: Path) -> str:
    """A text without the place of a run, which is none of a report's business.

    `RUN` stands for it, and what lies beside it, as the suite may, is told from there. Other paths stay as they are.
    """
    for place in dict.fromkeys((str(path.resolve()), str(path))):
        text = re.sub(rf"(?<![\w/.-]){re.escape(place)}(?![\w-])", "RUN", text)
    beside = str(path.resolve().parent)
    return text if beside == "/" else text.replace(f"{beside}/", "")


def _coded(table: pd.DataFrame) -> pd.DataFrame:
    """The same with text as categories: what repeats from row to row is then compared and copied as small numbers."""
    import pandas as pd

    texts = [name for name, kind in table.dtypes.items() if isinstance(kind, pd.StringDtype)]
    return table.astype(dict.fromkeys(texts, "category"))


def missing_steps(run: RunLike) -> dict[tuple[str, int], list[int]]:
    """For each size and seed, the steps that were asked for, or that another seed of the size has, and it has not."""
    planned = run.manifest.get("checkpoints", [])
    pairs = {(str(entry["size"]), int(entry["seed"])) for entry in planned}
    gaps: dict[tuple[str, int], list[int]] = {}
    for size in dict.fromkeys([*run.sizes, *sorted(size for size, _ in pairs)]):
        present = size in run.sizes
        wanted = {int(entry["step"]) for entry in planned if entry["size"] == size}
        wanted |= set(run.steps(size)) if present else set()
        for seed in sorted({seed for name, seed in pairs if name == size} | set(run.seeds(size) if present else [])):
            gaps[size, seed] = sorted(wanted - set(run.steps(size, seed) if present else []))
    return {key: steps for key, steps in gaps.items() if steps}
