"""Results that were measured elsewhere, brought into a run: read, matched with its checkpoints, kept.

It writes into a run what belongs to single checkpoints, as a visit does; nothing is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import progress
from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.store import EVALUATION_KEYS, RunFolder, ShardKey, as_evaluations, keep_evaluations
from phasescope.visits.importing.checkpoint_names import CheckpointNames, Told
from phasescope.visits.importing.curve_tables import is_table, read_curves
from phasescope.visits.importing.harness_results import read_harness
from phasescope.visits.importing.models import Sorted, sort_by_model

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Skipped:
    """Results that belong to no checkpoint of the run, and why."""

    source: str
    told: Told
    reason: str
    numbers: int


@dataclass
class Imported:
    """What came of an import.

    numbers: how many were kept. checkpoints: of how many. replaced: how many had been there before. models: others
    than the run's, whose numbers were kept apart.
    unread: files that could not be read, and why. skipped: results that no checkpoint of the run fits.
    notes: what a user should look at: values that changed or that two files tell differently, numbers that are
        missing.
    """

    numbers: int = 0
    checkpoints: int = 0
    replaced: int = 0
    models: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "numbers": self.numbers,
            "checkpoints": self.checkpoints,
            "replaced": self.replaced,
            "models": self.models,
            "files": self.files,
            "unread": [{"file": file, "reason": reason} for file, reason in self.unread],
            "skipped": [
                {"file": one.source, "size": one.told.size, "seed": one.told.seed, "step": one.told.step,
                 "model": one.told.model, "reason": one.reason, "numbers": one.numbers}
                for one in self.skipped
            ],
            "notes": self.notes,
        }  # fmt: skip


def import_into(
    folder: RunFolder,
    files: Sequence[str | Path],
    *,
    size: str | None = None,
    seed: int | None = None,
    step: int | None = None,
    step_pattern: str | None = None,
    model: str | Sequence[str] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> Imported:
    """Keep in a run what was measured elsewhere on its checkpoints; what was kept of the same file before goes.

    Args:
        folder: of the run.
        files: results of the lm-evaluation-harness (.json), tables (.csv, .tsv, .parquet), or folders with such
            results. Of two that tell the same number, the later one is kept.
        size, seed, step, step_pattern: which checkpoints are meant where names do not tell it (`CheckpointNames`).
        model: whose results are kept, of several models that names tell (`pythia-deduped`); None: the run's own. Those
            of another model are kept apart, and never take the place of the run's (`sort_by_model`).
        columns: what columns of tables are, where their names do not tell it (`read_curves`).

    A file that cannot be read is passed over. Raises `PhasescopeError` where none can, where nothing fits the run, or
    where nobody knows which of several models is the run's.
    """
    import pandas as pd

    folder.read_manifest()
    names = CheckpointNames(folder.shards(), size, seed, step_pattern, step)
    if not names.keys:
        raise PhasescopeError(f"{folder.path} has no shards yet. Run phasescope capture into it first.")
    done = Imported()
    parts = _parts(_files(files), names, columns or {}, done)
    found = pd.concat([_matched(part, names, done) for part in parts] or [as_evaluations(pd.DataFrame())])
    by_model = sort_by_model(found, folder, names, (model,) if isinstance(model, str) else tuple(model or ()))
    done.skipped += _of_others(by_model)
    done.notes += by_model.notes
    if by_model.kept.empty:
        raise PhasescopeError(_nothing_fits(folder, names, done))
    together = _once(by_model.kept, done)
    with folder.writing():
        kept = keep_evaluations(folder, together, again=done.files)
    done.numbers, done.replaced = len(together), kept.replaced
    done.checkpoints = together.groupby(["size", "seed", "step"]).ngroups
    done.models = [str(name) for name in dict.fromkeys(together["model"]) if name]
    done.notes += _changes(kept.changed) + _gaps(together)
    return done


def _files(files: Sequence[str | Path]) -> list[Path]:
    """The files that are meant, each once; of a folder the harness's results below it."""
    found: dict[Path, None] = {}
    for given in map(Path, files):
        inside = sorted(given.rglob("*.json")) if given.is_dir() else [given]
        if not inside:
            raise PhasescopeError(f"{given} has no .json files in it. Name the tables that are to be imported.")
        found |= dict.fromkeys(path.resolve() for path in inside)
    return list(found)


def _parts(
    paths: Sequence[Path], names: CheckpointNames, columns: Mapping[str, Sequence[str]], done: Imported
) -> list[DataFrame]:
    """What each file holds, of those that can be read."""
    parts: list[DataFrame] = []
    with progress(len(paths), "importing", "files") as tracker:
        for path in paths:
            tracker.doing(path.name)
            part = _read(path, names, columns, done)
            tracker.advance(failed=part is None)
            if part is not None:
                parts.append(part)
    return parts


def _read(path: Path, names: CheckpointNames, columns: Mapping[str, Sequence[str]], done: Imported) -> DataFrame | None:
    try:
        table = read_curves(path, names, columns) if is_table(path) else read_harness(path, names)
    except BadArgumentError:  # It would be the same of every file.
        raise
    except PhasescopeError as error:
        done.unread.append((str(path), str(error)))
        return None
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    without = table[table["value"].isna()]
    if len(without):
        first = without.iloc[0]
        done.notes.append(
            f"{path.name}: {len(without)} of {len(table)} values are no numbers and were left out (first: "
            f"{first['metric']} of {first['task']})."
        )
    done.files.append(str(path))
    return table[table["value"].notna()].assign(source=str(path), digest=digest)


def _matched(table: DataFrame, names: CheckpointNames, done: Imported) -> DataFrame:
    """The rows of one file that are of checkpoints of the run, with these as size, seed and step."""
    import pandas as pd

    parts = [table.iloc[:0]]
    keys = ["size", "seed", "step", "named"]
    for (size, seed, step, named), rows in table.groupby(keys, dropna=False, sort=False):
        told = _told(size, seed, step, named)
        found = names.match(told)
        if isinstance(found, ShardKey):
            parts.append(rows.assign(size=found.size, seed=found.seed, step=found.step))
        else:
            done.skipped.append(Skipped(str(table["source"].iloc[0]), told, found, len(rows)))
    return as_evaluations(pd.concat(parts))


def _told(size: Any, seed: Any, step: Any, named: Any) -> Told:
    import pandas as pd

    first, *numbers = (None if pd.isna(part) else part for part in (size, seed, step))
    seed, step = (None if part is None else int(part) for part in numbers)
    return Told(first, seed, step, str(named))


def _of_others(by_model: Sorted) -> Iterator[Skipped]:
    """What is of other models than those that are kept, by file and checkpoint."""
    keys = ["source", "size", "seed", "step", "named"]
    for (source, size, seed, step, named), rows in by_model.others.groupby(keys, sort=False):
        other = f"another model than the run's{f', {by_model.own}' if by_model.own else ''}"
        reason = (
            f"{other}: --model {rows['model'].iloc[0]} keeps its numbers, apart"
            if rows["model"].iloc[0]
            else ("the run's own model, or none is named, and --model asks for another")
        )
        yield Skipped(str(source), _told(size, seed, step, named), reason, len(rows))


def _once(together: DataFrame, done: Imported) -> DataFrame:
    """Each number once; of two that are told of the same the later one, and a note where they differ."""
    twice = together[together.duplicated(EVALUATION_KEYS, keep=False)]
    differ = twice[twice.groupby(EVALUATION_KEYS, dropna=False)["value"].transform("nunique") > 1]
    if len(differ):
        first = differ.iloc[0]
        same = differ.merge(differ[EVALUATION_KEYS].head(1), on=EVALUATION_KEYS)
        said = [f"{row['value']:g} in {Path(row['source']).name}" for row in same.to_dict("records")]
        done.notes.append(
            f"{differ.groupby(EVALUATION_KEYS, dropna=False).ngroups} values are told differently by two files, and "
            f"the later one was kept (first: {_label(first)}: {', '.join(said)})."
        )
    return together.drop_duplicates(EVALUATION_KEYS, keep="last").reset_index(drop=True)


def _changes(changed: DataFrame) -> list[str]:
    if changed.empty:
        return []
    first = changed.iloc[0]
    return [
        f"{len(changed)} values are others than before (first: {_label(first)}: {first['value_before']:g} before, "
        f"{first['value']:g} now)."
    ]


def _gaps(table: DataFrame) -> list[str]:
    """Curves that lack steps which others of the same size and seed have."""
    curves: dict[tuple[Any, ...], set[int]] = {}
    steps: dict[tuple[Any, ...], set[int]] = {}
    names = ["size", "seed", "model", "task", "metric", "shots", "step"]
    for *curve, step in table[names].itertuples(index=False, name=None):
        curves.setdefault(tuple(curve), set()).add(step)
        steps.setdefault(tuple(curve[:3]), set()).add(step)
    lacking = {curve: sorted(steps[curve[:3]] - there) for curve, there in curves.items() if steps[curve[:3]] - there}
    if not lacking:
        return []
    (size, seed, _, task, metric, _), absent = next(iter(lacking.items()))
    return [
        f"{len(lacking)} of {len(curves)} curves lack steps that others have (first: {metric} of {task}, "
        f"{size}/seed{seed}, at {', '.join(map(str, absent[:4]))}{', …' if len(absent) > 4 else ''})."
    ]


def _label(row: Any) -> str:
    of = f" of {row['model']}" if row["model"] else ""
    return f"{row['metric']} of {row['task']}, {row['size']}/seed{row['seed']}/step{row['step']}{of}"


def _nothing_fits(folder: RunFolder, names: CheckpointNames, done: Imported) -> str:
    if not done.files:
        reasons = [reason for _, reason in done.unread]
        return reasons[0] + (f" ({len(reasons) - 1} more files could not be read either.)" if len(reasons) > 1 else "")
    if not done.skipped:
        return f"{done.files[0]} has no numbers: nothing was imported."
    why = dict.fromkeys(f"{one.told}: {one.reason}" for one in done.skipped)
    steps = sorted({key.step for key in names.keys})
    return (
        f"Nothing fits {folder.path}, which has {', '.join(names.sizes)} at {len(steps)} steps from {steps[0]} to "
        f"{steps[-1]}. What was found: {'; '.join(list(why)[:3])}{'; …' if len(why) > 3 else ''}."
    )
