"""Which analyses there are. An analysis is one file with a function `analyse(reader, options)` and one line here."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from phasescope.analyses.token_groups import parse_by
from phasescope.console import progress
from phasescope.errors import BadArgumentError, did_you_mean
from phasescope.store import read_table, write_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.reader import RunReader


@dataclass(frozen=True)
class Analysis:
    """One research question: where its code is, and which tables answer it (the first is the main one)."""

    module: str
    question: str
    tables: tuple[str, ...]
    files: tuple[str, ...] = ()
    """What it reads in the run's folder beside shards and cohorts; its tables are stale when one of these changes."""
    version: int = 1
    """Goes up when its tables get other columns: what an older phasescope kept is then made anew."""


ANALYSES: dict[str, Analysis] = {
    "convergence": Analysis(
        "phasescope.analyses.convergence",
        "How close is each layer to its final state, and when does it settle?",
        ("convergence", "settling", "convergence_resamples"),
        version=2,
    ),
    "rank": Analysis(
        "phasescope.analyses.rank", "How many dimensions do weights, circuits and activations use?", ("rank",)
    ),
    "surprisal": Analysis("phasescope.analyses.surprisal", "How surprising is the text?", ("surprisal",)),
    "seeds": Analysis(
        "phasescope.analyses.seeds",
        "How far apart are the seeds of one size, for which tokens, and how far are models from other things?",
        (
            "seeds",
            "seed_pairs",
            "seeds_by",
            "seeds_by_peaks",
            "seeds_by_contrasts",
            "references",
            "reference_turns",
            "kl_across",
            "next_byte",
        ),
        files=("comparisons",),
    ),
    "gradients": Analysis(
        "phasescope.analyses.gradients",
        "How large are the gradients, and do they keep their direction?",
        ("gradients",),
    ),
    "trajectories": Analysis(
        "phasescope.analyses.trajectories",
        "Which tokens are still learned, which stagnate, and do sizes line up at the same perplexity?",
        (
            "trajectories",
            "token_classes",
            "class_transitions",
            "class_agreement",
            "against_perplexity",
            "size_alignment",
        ),
    ),
    "heuristics": Analysis(
        "phasescope.analyses.heuristics",
        "Which simple heuristics explain what the models predict, and when?",
        ("heuristics", "heuristic_peaks", "heuristic_fit"),
    ),
    "agreement": Analysis(
        "phasescope.analyses.agreement",
        "How alike are the predictions of different models?",
        ("agreement", "agreement_pairs"),
    ),
    "minimal_pairs": Analysis(
        "phasescope.analyses.minimal_pairs",
        "Which of two sentences that differ in one thing do the models prefer?",
        ("minimal_pairs",),
        files=("behaviour/minimal_pairs",),
    ),
    "noise": Analysis(
        "phasescope.analyses.noise",
        "How surprising is corrupted text, and text that models of the suite made up?",
        ("noise",),
        files=("behaviour/noise",),
    ),
    "multiple_choice": Analysis(
        "phasescope.analyses.multiple_choice",
        "How many questions with options are answered rightly, and how surprising are the options?",
        ("multiple_choice",),
        files=("behaviour/multiple_choice",),
    ),
    "in_context_learning": Analysis(
        "phasescope.analyses.in_context_learning",
        "How much does what was read before help?",
        ("in_context_learning", "loss_by_position"),
    ),
    "evaluations": Analysis(
        "phasescope.analyses.evaluations",
        "How well do the models do in benchmarks that were run elsewhere?",
        ("evaluations",),
        files=("evaluations.parquet",),
    ),
    "phases": Analysis(
        "phasescope.analyses.phases",
        "In which phases does behaviour go through training?",
        ("phases", "peaks"),
        files=("behaviour", "comparisons"),
    ),
    "link": Analysis(
        "phasescope.analyses.link",
        "In which behavioural phase does each layer do its moving, and does it lead or follow?",
        ("link_shares", "link_lags", "link_rank", "first_fifth"),
        files=("behaviour", "comparisons", "evaluations.parquet"),
        version=2,
    ),
}
TREND_AXES = ("log", "order", "step")


@dataclass(frozen=True)
class Options:
    """How intervals and settling are computed.

    resamples: of the bootstrap over sequences.
    level: of the intervals.
    seed: of the bootstrap.
    taus: the CKA to the final state at which a layer counts as settled.
    trend_over: what trends of tokens run over: the `log` of the step, the `order` of checkpoints, or the `step`.
    reference: what words are counted in (`phasescope.analyses.references.find_reference`); None: the suite's own text.
    vectors: a file of word vectors; None trains them on the reference.
    unit: word or token: what is compared with n-grams; None: whatever the reference counts.
    beside: the folders of other runs to compare with.
    by: how tokens are sorted into groups: frequency, pos, previous_pos, final_surprisal, position; none named: the
        first, the second and the fourth.
    early, late: positions of tokens whose loss the in-context-learning score compares, `50` or `40-60`; None: 50 and
        500, or the same parts of a shorter context.
    """

    resamples: int = 500
    level: float = 0.95
    seed: int = 0
    taus: tuple[float, ...] = (0.8, 0.9, 0.95)
    trend_over: str = "log"
    reference: str | None = None
    vectors: str | None = None
    unit: str | None = None
    beside: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    early: str | None = None
    late: str | None = None

    def __post_init__(self) -> None:
        for name, value in [*(("τ", tau) for tau in self.taus), ("the level", self.level)]:
            if not 0 < value < 1:
                raise BadArgumentError(f"{name} must lie between 0 and 1, without either: {value} does not. Try 0.9.")
        if self.resamples < 1:
            raise BadArgumentError(f"An interval needs at least one resample, not {self.resamples}. Try 500.")
        if self.unit not in (None, "word", "token"):
            raise BadArgumentError(f"There is no unit {self.unit!r}. {did_you_mean(self.unit, ['word', 'token'])}")
        if not self.taus:
            raise BadArgumentError("At least one τ is needed to say when a layer settles. Try 0.9.")
        object.__setattr__(self, "by", parse_by(self.by))
        if self.trend_over not in TREND_AXES:
            known = did_you_mean(self.trend_over, TREND_AXES)
            raise BadArgumentError(f"There is no axis {self.trend_over!r} for trends to run over. {known}")


def get_analysis(name: str) -> Analysis:
    """The analysis of that name; `PhasescopeError` with the nearest if there is none."""
    if name not in ANALYSES:
        raise BadArgumentError(f"There is no analysis {name!r}. {did_you_mean(name, ANALYSES)}")
    return ANALYSES[name]


def home_of(table: str) -> str:
    """The analysis that makes a table; `PhasescopeError` with the nearest if none does."""
    for name, analysis in ANALYSES.items():
        if table in analysis.tables:
            return name
    tables = [known for analysis in ANALYSES.values() for known in analysis.tables]
    raise BadArgumentError(f"There is no table {table!r}. {did_you_mean(table, tables)}")


def analyse(
    reader: RunReader, names: Sequence[str] = (), options: Options | None = None, *, csv: bool = False
) -> dict[str, DataFrame]:
    """Run the named analyses (none named: all), write their tables to `results/`, return them by table name."""
    wanted = {name: get_analysis(name) for name in names or ANALYSES}
    chosen = options or Options()
    made: dict[str, DataFrame] = {}
    with progress(len(wanted), "analysing", "analyses") as tracker:
        for name, analysis in wanted.items():
            tracker.doing(f"analysing {name}")
            made |= _make(reader, analysis, chosen, csv=csv)
            tracker.advance()
    return made


def table(reader: RunReader, name: str, options: Options | None = None) -> DataFrame:
    """A result table by its name: kept if it was made of what is there now, else made with `options`.

    This is how one analysis reads what another found. A table that was computed with options of the user's own is
    kept, whatever `options` are. Raises `PhasescopeError` where there is no such table, with the nearest.
    """
    known = kept_table(reader, name)
    return _make(reader, get_analysis(home_of(name)), options or Options())[name] if known is None else known


def kept_table(reader: RunReader, name: str) -> DataFrame | None:
    """A result table if it was made of what is there now; else None, and nothing is computed."""
    path = reader.folder.result(name)
    if not path.is_file():
        return None
    kept, analysis = read_table(path), get_analysis(home_of(name))
    current = as_made_now(name, kept) and kept.attrs.get("made_from") == reader.fingerprint(analysis.files)
    return kept if current else None


def as_made_now(name: str, kept: DataFrame) -> bool:
    """Whether a table that was kept has the columns that this phasescope gives it."""
    return bool(kept.attrs.get("version", 1) == get_analysis(home_of(name)).version)


def _make(reader: RunReader, analysis: Analysis, options: Options, *, csv: bool = False) -> dict[str, DataFrame]:
    reader.require_whole()
    reader.folder.require_writable()
    tables: dict[str, DataFrame] = import_module(analysis.module).analyse(reader, options)
    reader.require_there()
    # Kept in the files, so that a table made of other shards or options is known to be stale.
    origin: dict[Hashable | None, Any] = {
        "made_from": reader.fingerprint(analysis.files),
        "options": repr(options),
        "version": analysis.version,
        **({"suspect": reader.suspects_note} if reader.suspects else {}),
    }
    for name, made in tables.items():
        made.attrs |= origin
        write_table(reader.folder.result(name), made, csv=csv)
    return tables
