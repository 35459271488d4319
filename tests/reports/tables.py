"""Tables as the analyses make them, of a made-up suite: shapes, names and missing values as in a real run."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasescope.analyses import tables_there_are
from phasescope.errors import PhasescopeError
from phasescope.reports.kit.tables import Tables
from tests.reports.asked_tables import asked_tables
from tests.reports.evaluation_tables import TASKS, evaluations
from tests.reports.link_tables import link_tables
from tests.reports.seed_tables import seed_tables
from tests.reports.trajectory_tables import trajectory_tables

TAUS = (0.8, 0.9, 0.95)
DEPTHS = {"0.4m": 4, "1.6m": 6}


@dataclass
class SyntheticRun:
    """What a report reads of a run: its manifest and its tables."""

    path: Path
    tables: dict[str, pd.DataFrame]
    manifest: dict[str, Any] = field(default_factory=dict)
    sizes: list[str] = field(default_factory=list)

    def seeds(self, size: str) -> list[int]:
        return sorted({entry["seed"] for entry in self.manifest["checkpoints"] if entry["size"] == size})

    def steps(self, size: str, seed: int | None = None) -> list[int]:
        entries = self.manifest["checkpoints"]
        return sorted({e["step"] for e in entries if e["size"] == size and seed in (None, e["seed"])})

    def table(self, name: str) -> pd.DataFrame:
        if name not in self.tables:
            raise PhasescopeError(f"The run has no {name} table: run `phasescope analyse`.")
        return whole(name, self.tables[name])

    def table_if_asked(self, name: str) -> pd.DataFrame:
        return self.table(name)


def make_run(
    path: Path,
    *,
    depths: dict[str, int] | None = None,
    heads: int = 4,
    seeds: Sequence[int] = (1, 2, 3),
    steps: Sequence[int] = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000),
    components: Sequence[str] = ("attn_out", "ov_out", "mlp_out", "resid_post"),
    family: str = "nursery",
    noise: float = 0.05,
) -> SyntheticRun:
    """A run with every table, the same for the same arguments."""
    depths = depths or DEPTHS
    # Made once for the same arguments: mixed models take seconds.
    made = _tables(tuple(depths.items()), heads, tuple(seeds), tuple(steps), tuple(components), noise)
    tables = {name: table.copy() for name, table in made.items()}
    return SyntheticRun(path, tables, _manifest(family, depths, seeds, steps, components), list(depths))


@functools.cache
def _tables(
    layers: tuple[tuple[str, int], ...],
    heads: int,
    seeds: tuple[int, ...],
    steps: tuple[int, ...],
    components: tuple[str, ...],
    noise: float,
) -> dict[str, pd.DataFrame]:
    depths, generator = dict(layers), np.random.default_rng(0)
    convergence = _convergence(generator, depths, heads, seeds, steps, components, noise)
    tables = {
        "convergence": convergence,
        "settling": settling_of(convergence),
        "rank": _rank(generator, depths, heads, seeds, steps, components),
        "surprisal": _surprisal(generator, depths, seeds, steps),
        "seeds": _seeds(generator, depths, seeds, steps),
        "gradients": _gradients(generator, depths, heads, seeds, steps),
        **trajectory_tables(generator, list(depths), seeds, steps),
    }
    tables |= study_c(generator, list(depths), seeds, steps)
    tables["minimal_pairs"] = _minimal_pairs(generator, list(depths), seeds, steps)
    tables |= seed_tables(list(depths), seeds, steps)
    tables |= asked_tables(list(depths), seeds, steps)
    tables["evaluations"] = evaluations(TASKS, seeds, list(depths), steps)
    tables |= phases_of(list(depths) if len(steps) > 1 else [], steps)
    tables |= link_tables(tables, list(depths))
    if len(seeds) < 2:
        tables["seeds"] = tables["seeds"].iloc[:0]
    return tables


_FILLED = {"str": "", "int64": 0, "Int64": pd.NA, "float64": math.nan, "bool": False}


def whole(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """With all columns that the question says the table has, so that it is taken for one of today's."""
    declared = tables_there_are()[name][1].columns
    lacking = {column: kind for column, kind in declared.items() if column not in table.columns}
    if not lacking:
        return table
    made = {column: pd.Series(_FILLED[kind], table.index, kind) for column, kind in lacking.items()}
    full = table.assign(**made | ({"level": 0.95} if "level" in lacking else {}))
    full.attrs = table.attrs
    return full


def _minimal_pairs(
    generator: np.random.Generator, sizes: Sequence[str], seeds: Sequence[int], steps: Sequence[int]
) -> pd.DataFrame:
    """Accuracy that rises from chance, of two paradigms and their mean; the second has no word that decides."""
    table = _index(size=sizes, seed=seeds, step=steps, paradigm=["all", "wh_island", "npi_present_1"])
    table = table.assign(method="full_sentence", pairs=np.where(table["paradigm"] == "all", 2000, 1000), level=0.95)
    words = table[table["paradigm"] != "npi_present_1"].assign(method="one_prefix")
    table = pd.concat([table, words], ignore_index=True)
    share = np.log1p(table["step"]) / np.log1p(max(*steps, 1))
    table["accuracy"] = 0.5 + 0.4 * share + generator.uniform(-0.01, 0.01, len(table))
    table["margin"] = 10 * (table["accuracy"] - 0.5)
    for name, width in (("low", -0.03), ("high", 0.03), ("margin_low", -0.3), ("margin_high", 0.3)):
        table[name] = table["margin" if name.startswith("margin") else "accuracy"] + width
    return table


def _index(**axes: Sequence[Any]) -> pd.DataFrame:
    return pd.MultiIndex.from_product(list(axes.values()), names=list(axes)).to_frame(index=False)


def _convergence(
    generator: np.random.Generator,
    depths: dict[str, int],
    heads: int,
    seeds: Sequence[int],
    steps: Sequence[int],
    components: Sequence[str],
    noise: float,
) -> pd.DataFrame:
    parts = []
    for size, layers in depths.items():
        for component in components:
            wanted: list[int | None] = [None]
            if component in {"ov_out", "z", "pattern"}:
                wanted += list(range(heads))
            for head in wanted:
                part = _index(seed=list(seeds), layer=list(range(layers)), step=list(steps))
                parts.append(part.assign(size=size, component=component, head=head))
    table = pd.concat([part.astype({"head": "Int64"}) for part in parts], ignore_index=True)
    late = 3.0 + 0.5 * table["layer"] + np.where(table["component"] == "mlp_out", -1.2, 0.6)
    late = late + 0.25 * (table["seed"] % 3) + 0.4 * table["head"].fillna(0).astype(float)
    along = np.log2(1.0 + table["step"])
    cka = 0.12 + 0.88 / (1 + np.exp(-1.1 * (along - late)))
    cka = (cka - noise * np.abs(generator.normal(size=len(table)))).clip(0.01, 1.0)
    cka = cka.where(table["step"] != max(steps), 1.0)
    width = 0.04 * (1 - cka)
    table = table.assign(cka=cka, low=cka - width, high=(cka + width).clip(upper=1.0))
    debiased = (cka - 0.08 * (1 - cka)).clip(-0.05, 1.0)
    table = table.assign(cka_debiased=debiased, debiased_low=debiased - width, debiased_high=debiased + width)
    site = "L" + table["layer"].astype(str) + "." + table["component"].astype(str)
    table = table.assign(site=site, samples=128, shuffled=0.1, reason="").astype({"layer": "Int64", "seed": "int64"})
    columns = "size seed step site layer component head cka low high cka_debiased debiased_low debiased_high"
    return table[[*columns.split(), "shuffled", "samples", "reason"]]


def settling_of(convergence: pd.DataFrame) -> pd.DataFrame:
    """Settling steps of a convergence table; intervals one checkpoint to each side."""
    rows = []
    keys = ["size", "seed", "site", "layer", "component", "head"]
    for values, group in convergence.groupby(keys, dropna=False, sort=False):
        group = group.sort_values("step")
        steps, cka = group["step"].to_numpy(), group["cka"].to_numpy()
        for tau in TAUS:
            below = np.flatnonzero(~(cka >= tau))
            start = 0 if not len(below) else int(below[-1]) + 1
            never = start >= len(steps) - 1  # a site equals itself at the last step: that is no settling
            place = None if never else int(steps[start])
            low = None if never else int(steps[max(start - 1, 0)])
            high = None if never or start + 1 >= len(steps) - 1 else int(steps[start + 1])
            last = int(steps[-1])
            fraction = None if place is None or not last else place / last
            begin = group.iloc[0]
            reason = unmoved(begin, tau) if place is not None else ""
            known = len(steps) > 1 and bool(np.isfinite(begin["cka"]))
            first = (int(steps[0]), *begin[["cka", "low", "high"]]) if known else (None, *[math.nan] * 3)
            shuffled = group["shuffled"].iloc[-1]
            rows.append((*values, tau, place, low, high, fraction, last, *first, shuffled, not reason, reason))
    columns = [*keys, "tau", "settling_step", "low", "high", "settling_fraction", "last_step", "first_step"]
    columns += ["first_cka", "first_low", "first_high", "shuffled", "moved", "reason"]
    whole_numbers = dict.fromkeys(("layer", "head", "settling_step", "low", "high", "first_step"), "Int64")
    return pd.DataFrame(rows, columns=columns).astype({**whole_numbers, "settling_fraction": "float64"})


def unmoved(begin: Any, tau: float) -> str:
    """Why a site that begins so was not seen to settle."""
    if not begin["high"] < tau:
        return f"not surely below τ at the first step: CKA {begin['cka']:.2f}"
    return "texts that do not match reach τ too" if begin["shuffled"] >= tau else ""


def _rank(
    generator: np.random.Generator,
    depths: dict[str, int],
    heads: int,
    seeds: Sequence[int],
    steps: Sequence[int],
    components: Sequence[str],
) -> pd.DataFrame:
    kinds = dict.fromkeys(("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out"), "weight")
    kinds |= {"OV": "circuit", "QK": "circuit"} | dict.fromkeys(components, "activation")
    parts = []
    for size, layers in depths.items():
        for component, kind in kinds.items():
            per_head: list[int | None] = list(range(heads)) if kind == "circuit" else [None]
            for head in per_head:
                part = _index(seed=list(seeds), layer=list(range(layers)), step=list(steps))
                parts.append(part.assign(size=size, component=component, kind=kind, head=head, largest=64))
        for component in ("W_E", "W_U"):
            part = _index(seed=list(seeds), step=list(steps))
            parts.append(part.assign(size=size, component=component, kind="weight", head=None, layer=None, largest=64))
    whole_numbers = {"head": "Int64", "layer": "Int64"}
    table = pd.concat([part.astype(whole_numbers | {"seed": "int64"}) if "layer" in part else part for part in parts])
    layer = table["layer"].fillna(0).astype(float)
    along = np.log2(1.0 + table["step"]) / np.log2(1.0 + max(*steps, 1))
    fall = np.where(table["kind"] == "circuit", 0.35, 0.12) * (0.4 + 0.15 * layer)
    share = 0.93 - np.where(table["kind"] == "activation", 0.4, 0.0) - fall * along**2
    share = (share + 0.01 * generator.normal(size=len(table))).clip(0.02, 1.0)
    site = table["component"].astype(str)
    return table.assign(
        site=site, proportional=share, effective_rank=share * table["largest"], norm=3.0 + along
    ).reset_index(drop=True)


def _surprisal(
    generator: np.random.Generator, depths: dict[str, int], seeds: Sequence[int], steps: Sequence[int]
) -> pd.DataFrame:
    parts = []
    for number, size in enumerate(depths):
        table = _index(seed=list(seeds), step=list(steps))
        along = np.log2(1.0 + table["step"])
        mean = 4.0 - 0.3 * number + (4.3 + 0.3 * number) / (1 + np.exp(0.9 * (along - 5)))
        mean = mean + 0.03 * generator.normal(size=len(table))
        table = table.assign(size=size, surprisal=mean, low=mean - 0.1, high=mean + 0.1, entropy=mean - 0.05)
        table = table.assign(entropy_low=mean - 0.12, entropy_high=mean + 0.02, unigram=6.3)
        table = table.assign(perplexity=np.exp(mean), perplexity_low=np.exp(mean - 0.1))
        parts.append(table.assign(perplexity_high=np.exp(mean + 0.1), sequences=18, tokens=18 * 255))
    return pd.concat(parts, ignore_index=True)


def _seeds(
    generator: np.random.Generator, depths: dict[str, int], seeds: Sequence[int], steps: Sequence[int]
) -> pd.DataFrame:
    parts = []
    for number, size in enumerate(depths):
        table = _index(step=list(steps)).assign(size=size)
        along = np.log2(1.0 + table["step"])
        kl = 0.02 + (0.9 - 0.2 * number) * np.exp(-((along - 7) ** 2) / 6) + 0.05 * along / 10
        kl = kl + 0.01 * np.abs(generator.normal(size=len(table)))
        table = table.assign(kl=kl, low=kl * 0.93, high=kl * 1.07, convergence=-kl, seeds=len(seeds), missing="")
        parts.append(table.assign(sequences=18, tokens=18 * 255))
    return pd.concat(parts, ignore_index=True)


def _gradients(
    generator: np.random.Generator, depths: dict[str, int], heads: int, seeds: Sequence[int], steps: Sequence[int]
) -> pd.DataFrame:
    kinds = {"W_Q": "weight", "W_in": "weight", "W_out": "weight", "OV": "circuit"}  # one of each kind, and one more
    parts = []
    for size, layers in depths.items():
        for component, kind in kinds.items():
            with_heads = component not in ("W_in", "W_out")
            wanted: list[int | None] = [None] if kind == "weight" else []
            for head in [*wanted, *(range(heads) if with_heads else [])]:
                part = _index(seed=list(seeds), layer=list(range(layers)), step=list(steps))
                part = part.assign(size=size, component=component, kind=kind, head=head)
                parts.append(part.assign(ranked=head is not None or not with_heads))
        part = _index(seed=list(seeds), step=list(steps)).assign(size=size, component="model", kind="model", head=None)
        parts.append(part.assign(layer=None, ranked=False))
    whole_numbers = {"head": "Int64", "layer": "Int64", "seed": "int64"}
    table = pd.concat([part.astype(whole_numbers) for part in parts], ignore_index=True)
    along = np.log2(1.0 + table["step"])
    norm = np.exp(-0.4 * along + 0.1 * table["layer"].fillna(0).astype(float) + 0.1 * generator.normal(size=len(table)))
    cosine = 0.7 - 0.06 * along + 0.02 * generator.normal(size=len(table))
    turned = (table["step"] > min(steps)) & (table["kind"] == "weight") & table["head"].isna()
    table = table.assign(norm=norm, low=0.9 * norm, high=1.1 * norm, mean_norm=0.6 * norm, weight_norm=30.0)
    table = table.assign(ratio=norm / 30, ratio_low=0.9 * norm / 30, ratio_high=1.1 * norm / 30, reason="", batches=11)
    table = table.assign(cosine=cosine, cosine_low=cosine - 0.05, cosine_high=cosine + 0.05, level=0.95)
    table = table.assign(proportional=(0.3 + 0.03 * along).where(table["ranked"]), site=table["component"])
    return table.assign(cosine_previous=(cosine + 0.1).where(turned), cosine_previous_error=0.015)


def study_c(
    generator: np.random.Generator, sizes: Sequence[str], seeds: Sequence[int], steps: Sequence[int]
) -> dict[str, pd.DataFrame]:
    """Correlations that peak order by order, the regression, and agreement that falls and comes back."""
    orders = {"unigram": 3.0, "bigram": 5.0, "trigram": 7.0, "4-gram": 8.0, "5-gram": 9.0, "similarity_weighted": 6.0}
    table = _index(size=list(sizes), seed=list(seeds), unit=["word"], predictor=list(orders), step=list(steps))
    along = np.log2(1.0 + table["step"])
    pearson = 0.9 * np.exp(-((along - table["predictor"].map(orders)) ** 2) / 30) + 0.005 * generator.normal(
        size=len(table)
    )
    table = table.assign(pearson=pearson, low=pearson - 0.02, high=pearson + 0.02, words=6000, level=0.95)
    table = table.assign(spearman=pearson, spearman_low=pearson - 0.02, spearman_high=pearson + 0.02)
    heuristics = table.assign(reference="the training text of nursery", reason="", sequences=18)
    rows = []
    for (size, name), curve in heuristics.groupby(["size", "predictor"], sort=False):
        mean = curve.groupby("step")["pearson"].mean()
        step = int(mean.idxmax())
        rows.append(
            (size, "word", None, "pearson", name, step, step, step, mean.max(), 1.0, step == max(steps), 0.95, 3)
        )
    names = "size unit seed measure predictor peak_step low high correlation before_next at_end level seeds"
    peaks = pd.DataFrame(rows, columns=names.split()).astype({"seed": "Int64"})
    fit = _index(size=list(sizes), seed=list(seeds), unit=["word"], step=list(steps), term=["unigram", "5-gram"])
    r2 = 0.3 + 0.05 * np.log2(1.0 + fit["step"])
    fit = fit.assign(coefficient=r2, low=r2 - 0.1, high=r2 + 0.1, level=0.95, words_training=3000, words_held_out=3000)
    for name in ("r2_training", "r2_held_out"):
        fit = fit.assign(**{name: r2, f"{name}_low": r2 - 0.05, f"{name}_high": r2 + 0.05})
    pairs = [(size, size, "seeds") for size in sizes] if len(seeds) > 1 else []
    pairs += [(sizes[0], size, "sizes") for size in sizes[1:]]
    names_of_agreement = "size beside_run beside_size relation step pearson low high pairs words level"
    agreement = pd.DataFrame(
        [
            (size, "", beside, relation, step, 1 - 0.02 * min(np.log2(1 + step), 6), 0.7, 1.0, 3, 6000, 0.95)
            for size, beside, relation in pairs
            for step in steps
        ],
        columns=names_of_agreement.split(),
    )
    return {"heuristics": heuristics, "heuristic_peaks": peaks, "heuristic_fit": fit, "agreement": agreement}


def phases_of(sizes: Sequence[str], steps: Sequence[int]) -> dict[str, pd.DataFrame]:
    """Phases of the mean of the seeds, as the analysis writes them, and the peaks."""
    shapes = {
        "kl": (
            (0, 20, 0, 0, "flat", 0.01, "uniform"),
            (20, 128, 16, 24, "sharply rising", 0.4, "sharp divergence"),
            (128, max(steps), 100, 160, "slowly falling", -0.1, "slow reconvergence"),
        ),
        "surprisal": ((0, 8, 0, 0, "flat", 0.0, ""), (8, max(steps), 4, 10, "sharply falling", -1.1, "")),
        "heuristic:unigram pearson": ((0, max(steps), 0, 0, "slowly rising", 0.02, ""),),
    }
    rows = [
        (curve, size, None, number, start, end, low, high, label, slope, slope - 0.01, slope + 0.01, name,
         "near" if name else "", 20.0, "independent errors", len(steps), 0.95)
        for size in sizes
        for curve, phases in shapes.items()
        for number, (start, end, low, high, label, slope, name) in enumerate(phases)
    ]  # fmt: skip
    columns = "curve size seed phase start end start_low start_high label slope slope_low slope_high name evidence"
    phases = pd.DataFrame(rows, columns=[*columns.split(), "criterion", "errors", "points", "level"])
    peaks = [(curve, size, None, 128, 64, 256, False, 0.95) for size in sizes for curve in shapes]
    names = ["curve", "size", "seed", "peak_step", "low", "high", "at_end", "level"]
    whole = {"seed": "Int64"}
    return {"phases": phases.astype(whole), "peaks": pd.DataFrame(peaks, columns=names).astype(whole)}


def _manifest(
    family: str, depths: dict[str, int], seeds: Sequence[int], steps: Sequence[int], components: Sequence[str]
) -> dict[str, Any]:
    checkpoints = [{"size": z, "seed": k, "step": n} for z in depths for n in steps for k in seeds]
    return {
        "schema": 1,
        "created": "2025-11-21T09:30:00+00:00",
        "updated": "2025-11-21T09:34:10+00:00",
        "family": family,
        "source": f"runs/demo/{family}",
        "engine": "torch",
        "sites": list(components),
        "device": "cpu",
        "dtype": "float32",
        "inputs": {
            "hash": "5f0c1d7be92a4c6f8d3e0b19a7c2f4d6",
            "source": "heldout.jsonl",
            "sequences": 128,
            "context": 256,
            "output_sequences": 18,
            "positions": "last",
            "vocabulary": 2048,
            "counts_source": "token_counts.npy",
        },
        "versions": {"phasescope": "0.1.0", "torch": "2.9.1", "transformers": "5.1.0", "python": "3.11.7"},
        "checkpoints": checkpoints,
        "failed": [],
        "seconds": 41.7,
        "selection": {"sizes": None, "seeds": None, "steps": "all"},
    }


def but(tables: Tables, changed: dict[str, pd.DataFrame], why: dict[str, str] | None = None) -> Tables:
    """The same tables but for some, and reasons why some have no rows."""
    reasons = why or {}
    return Tables(lambda name: (changed.get(name, tables[name]), reasons.get(name, tables.why(name))))
