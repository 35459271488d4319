"""Of which model imported results are: the run's own are kept as such, those of another only by its name, and apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.store import RunFolder, read_evaluations
from phasescope.visits.importing.model_names import alike, models_of_run

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from phasescope.visits.importing.checkpoint_names import CheckpointNames


@dataclass(frozen=True)
class Sorted:
    """Rows that are kept, with `model` ("" for the run's own); rows of other models; what a user should know."""

    kept: DataFrame
    others: DataFrame
    own: str
    notes: list[str]


def sort_by_model(table: DataFrame, folder: RunFolder, names: CheckpointNames, wanted: Sequence[str]) -> Sorted:
    """Which rows are kept, and under which model.

    The run's own are rows that name no model, or that which the run was captured from. Where its suite is a folder that
    does not tell a model, the one that results name first is taken for it, and a note says so.

    Args:
        table: rows of checkpoints of the run, with `named`: what they say of their model.
        wanted: models whose rows are kept, and no others; none: the run's own.

    Raises:
        PhasescopeError: nobody knows which of several models is the run's; a wanted one is not named by any row.
    """
    own = _own_models(folder, names)
    named = [str(name) for name in dict.fromkeys(table["named"])]
    plain = [name for name in named if name and not _is_changed(name)]
    notes: list[str] = []
    chosen = _chosen(named, wanted, names) if wanted else None
    if own is None and plain:
        candidates = [name for name in plain if chosen is None or name in chosen]
        distinct = [
            name for name in candidates if not any(name != other and alike(name, other) for other in candidates)
        ]
        if len(distinct) > 1:
            raise PhasescopeError(_which(table["named"], sorted(distinct, key=len)))
        own = set(candidates)
        if distinct and chosen is None:
            notes.append(
                f"The results name the model {distinct[0]}, and the suite of this run does not say which it is: they "
                "were taken for its own."
            )
    is_own = {name: not _is_changed(name) and any(alike(name, one) for one in own or {""}) for name in named}
    is_own |= {"": True}
    kept = [name for name in named if (is_own[name] if chosen is None else name in chosen)]
    table = table.assign(model=["" if is_own[name] else name.lstrip("+") for name in table["named"]])
    here = table["named"].isin(kept)
    return Sorted(table[here], table[~here], ", ".join(sorted(own or ())), notes)


def _own_models(folder: RunFolder, names: CheckpointNames) -> set[str] | None:
    """What the models of the run are called; None where nothing told it yet."""
    told = models_of_run(str(folder.read_manifest().get("source", "")), names.sizes)
    if told is not None:
        return told
    before = read_evaluations(folder)
    return {str(name) for name in before.loc[before["model"] == "", "named"] if name} or None


def _chosen(named: Sequence[str], wanted: Sequence[str], names: CheckpointNames) -> set[str]:
    chosen: set[str] = set()
    for given in wanted:
        base, plus, changes = given.partition("+")
        base = names.model(base) or base.strip().lower()
        asked = f"{base}{plus}{changes}"
        found = {name for name in named if name and asked in (name, name.lstrip("+"))}
        found = found or {name for name in named if name and not _is_changed(name) and alike(name, asked)}
        if not found:
            there = [name.lstrip("+") for name in named if name]
            raise PhasescopeError(f"No results here name the model {given!r}. {did_you_mean(base, there)}")
        chosen |= found
    return chosen


def _is_changed(name: str) -> bool:
    """Whether it is a model that was made of another, by an adapter or with fewer bits."""
    return "+" in name


def _which(named: Series[str], models: Sequence[str]) -> str:
    counts = named.value_counts()
    listed = ", ".join(f"{name} ({int(counts[name]):,})" for name in models)
    return (
        f"These results are of several models (numbers of each): {listed}. Which is the run's? Say --model NAME, such "
        f"as --model {models[0]}; the others are kept apart from it when they are named in their turn."
    )
