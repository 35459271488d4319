"""How degenerate is the basin that the weights lie in? (docs/analyses/learning_coefficient.md)

The local learning coefficient (Lau et al. 2023, The Local Learning Coefficient, arXiv 2308.12108): nβ times the mean
loss of weights that were drawn around a checkpoint, less its own loss on what they read. Draws are made by `phasescope
learning-coefficient`, which devinterp does, and kept; here they are read, with what says whether they can be believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.question import Curve, Option, Table, question
from phasescope.analyses.reader import as_table
from phasescope.errors import BadArgumentError
from phasescope.store.draws import Traces, read_draws

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

_WHERE = {
    "size": "str", "seed": "int64", "step": "int64", "at": "str", "layer": "Int64", "head": "Int64",
}  # fmt: skip
COEFFICIENTS = {
    **_WHERE, "coefficient": "float64", "low": "float64", "high": "float64", "start": "float64", "loss": "float64",
    "r_hat": "float64", "autocorrelation": "float64", "chains": "int64", "diverged": "int64", "draws": "int64",
    "counted": "int64", "lr": "float64", "n_beta": "float64", "localization": "float64", "level": "float64",
    "reason": "str",
}  # fmt: skip
CHAINS = {
    **_WHERE, "chain": "int64", "coefficient": "float64", "loss": "float64", "highest": "float64",
    "diverged_at": "Int64",
}  # fmt: skip
ABSENT = (
    "No weights were drawn in this run: say `phasescope learning-coefficient RUN`, which needs phasescope[learning]."
)
_NOT_MIXED = 1.1
# As `split_r_hat` needs.
_FEWEST = 4
_PLACE = re.compile(r"l(?P<layer>\d+)(?:\s*h(?P<head>\d+))?")


def _share(given: float) -> float:
    if not 0 <= given < 1:
        raise BadArgumentError(f"--burn-in is a share of each chain, from 0 to below 1: {given} is none. Try 0.5.")
    return given


@question(
    "How degenerate is the basin that the weights lie in?",
    [
        Table(
            "learning_coefficient",
            "The local learning coefficient of all weights, a layer or a head per size, seed and step, with what says "
            "whether it can be believed.",
            COEFFICIENTS,
            {
                "dimensions": "coefficient low high",
                "nats per token": "start loss",
                "1": "r_hat autocorrelation lr n_beta localization",
            },
            curves=(Curve("coefficient", "learning coefficient", only=(("at", "full"),), place=70),),
        ),
        Table(
            "chains",
            "The same of each chain, also of those that diverged, which count nowhere else.",
            CHAINS,
            {"dimensions": "coefficient", "nats per token": "loss highest"},
        ),
    ],
    options=[
        Option("burn_in", "share of each chain that does not count.", 0.5, kind=float, check=_share),
    ],
    reads=("draws",),
    needs="`phasescope learning-coefficient`",
    place=128,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `learning_coefficient` and `chains`; empty where no weights were drawn."""
    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    chains: list[tuple[Any, ...]] = []
    drawn = set(reader.folder.drawn())
    for key in reader.keys:
        if key not in drawn:
            continue
        asked, every = read_draws(reader.folder, key)
        for at, traces in every.items():
            place = _PLACE.match(at)
            number = {part: int(value) for part, value in (place.groupdict() if place else {}).items() if value}
            where = (key.size, key.seed, key.step, at, number.get("layer"), number.get("head"))
            rows.append((*where, *_numbers(traces, asked, options)))
            chains += [(*where, *row) for row in _chains(traces, asked, options)]
    made = {"learning_coefficient": as_table(rows, COEFFICIENTS), "chains": as_table(chains, CHAINS)}
    for table in made.values():
        if not rows:
            table.attrs["absent"] = ABSENT
    return made


def _counted(values: Float64[np.ndarray, "chains draws"], options: Options) -> Float64[np.ndarray, "chains counted"]:
    """What is left of chains after the burn-in: at least one draw."""
    return values[:, min(int(options.burn_in * values.shape[1]), values.shape[1] - 1) :]


def _numbers(traces: Traces, asked: Mapping[str, Any], options: Options) -> tuple[Any, ...]:
    """As the columns from `coefficient` to `reason`; of the chains that did not diverge."""
    from phasescope.measures import lag_one, mean_of_chains, split_r_hat

    n_beta, losses = float(asked["n_beta"]), traces.losses
    sound = np.isfinite(losses).all(axis=1)
    risen = _counted((losses - traces.starts)[sound], options)
    coefficient, low, high = mean_of_chains(n_beta * risen.mean(axis=1), options.level)
    r_hat, diverged = split_r_hat(risen), int((~sound).sum())
    loss = float(_counted(losses[sound], options).mean()) if sound.any() else np.nan
    reason = "; ".join(_doubts(coefficient, r_hat, diverged, risen.shape))
    return (
        *(coefficient, low, high, traces.start, loss, r_hat, lag_one(risen)),
        *(len(losses), diverged, losses.shape[1], risen.shape[1]),
        *(float(asked["lr"]), n_beta, float(asked["localization"]), options.level, reason),
    )


def _doubts(coefficient: float, r_hat: float, diverged: int, left: tuple[int, int]) -> Iterator[str]:
    """Why a coefficient cannot be believed, or is not there; left: the chains that did not diverge, their draws."""
    chains, counted = left
    if diverged:
        what = f"{diverged} of {diverged + chains} chains" if chains else "all chains"
        yield f"{what} diverged: choose a smaller --lr"
    if coefficient < 0:
        yield "negative: the chains found lower losses, so that the checkpoint is no minimum for them"
    if r_hat > _NOT_MIXED:
        yield f"chains have not settled (R-hat {r_hat:.2f}): choose more --draws"
    if chains == 1:
        yield "one chain is beside no other, and has no interval: choose more --chains"
    if chains and counted < _FEWEST:
        yield f"R-hat needs {_FEWEST} draws that count, not {counted}: choose more --draws or a smaller --burn-in"
    elif chains and np.isnan(r_hat):
        yield "R-hat is not known, for all draws are equal: choose a larger --lr"


def _chains(traces: Traces, asked: Mapping[str, Any], options: Options) -> Iterator[tuple[Any, ...]]:
    risen = _counted(traces.losses - traces.starts, options).mean(axis=1)
    means = _counted(traces.losses, options).mean(axis=1)
    for number, chain in enumerate(traces.losses):
        gone = ~np.isfinite(chain)
        highest = float(chain[~gone].max()) if not gone.all() else np.nan
        diverged = int(gone.argmax()) if gone.any() else None
        yield number, float(asked["n_beta"]) * float(risen[number]), float(means[number]), highest, diverged
