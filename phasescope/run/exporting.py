"""The numbers of a run for boards that show trainings: TensorBoard, Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadArgumentError, did_you_mean, require_library

if TYPE_CHECKING:
    from pandas import DataFrame

BOARDS = ("tensorboard", "wandb")
_KEYS = ("size", "seed", "step")
_BESIDE = ("low", "high", "level")


def scalars(tables: Mapping[str, DataFrame]) -> Iterator[tuple[str, int, dict[int, dict[str, float]]]]:
    """For each size and seed its numbers by step, each under a name that tells table, site and column.

    Every column of floating-point numbers is one, but for the edges of intervals; columns of text, and heads, tell rows
    apart. Raises `BadArgumentError` for a table without size, seed and step.
    """
    import pandas as pd

    found: dict[tuple[str, int], dict[int, dict[str, float]]] = {}
    for name, table in tables.items():
        if lacking := [key for key in _KEYS if key not in table]:
            raise BadArgumentError(f"The table {name} has no {lacking[0]}, so a board cannot show it along training.")
        values = [column for column in table if table[column].dtype.kind == "f" and not _is_edge(str(column))]
        apart = [column for column in table if column not in (*_KEYS, *values, "reason") and _tells(table[column])]
        for row in table.to_dict("records"):
            words = [f"{column}{row[column]}" if column in ("head", "other") else str(row[column])
                     for column in apart if pd.notna(row[column]) and row[column] != ""]  # fmt: skip
            here = found.setdefault((str(row["size"]), int(row["seed"])), {}).setdefault(int(row["step"]), {})
            for column in values:
                if pd.notna(row[column]):
                    here["/".join([name, *words, str(column)])] = float(row[column])
    for (size, seed), by_step in found.items():
        yield size, seed, dict(sorted(by_step.items()))


def _is_edge(column: str) -> bool:
    return column in _BESIDE or column.endswith(("_low", "_high"))


def _tells(column: Any) -> bool:
    return column.name in ("head", "other") or (column.dtype.kind in "OTU" and column.nunique() > 1)


def export(board: str, tables: Mapping[str, DataFrame], folder: Path, project: str, options: dict[str, Any]) -> None:
    """Write the numbers of tables for a board. Raises `PhasescopeError` for an unknown one, or without its library."""
    if board not in BOARDS:
        raise BadArgumentError(f"There is no board {board!r}. {did_you_mean(board, BOARDS)}")
    require_library(board, "export", f"Export to {board}")
    found = list(scalars(tables))
    (_to_tensorboard if board == "tensorboard" else _to_wandb)(found, folder, project, options)


def _to_tensorboard(found: Sequence[Any], folder: Path, project: str, options: dict[str, Any]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for size, seed, by_step in found:
        with SummaryWriter(str(folder / size / f"seed{seed}"), **options) as writer:
            for step, numbers in by_step.items():
                for tag, value in numbers.items():
                    writer.add_scalar(tag, value, step)


def _to_wandb(found: Sequence[Any], folder: Path, project: str, options: dict[str, Any]) -> None:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    for size, seed, by_step in found:
        how = {"project": project, "name": f"{size}/seed{seed}", "group": size, "dir": str(folder), **options}
        with wandb.init(**how) as run:
            for step, numbers in by_step.items():
                run.log(numbers, step=step)
