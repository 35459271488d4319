"""The chapter of the report about measures of one's own: `report --with NAME`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from phasescope.console import counted
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.own.figures import drawn

if TYPE_CHECKING:
    import pandas as pd

_COMPARED = {
    "final": "compared with the same site at the last step",
    "previous": "compared with the same site at the step before",
    "seeds": "compared with other seeds",
    "layers": "compared with later layers",
}


def own_parts(tables: Mapping[str, pd.DataFrame]) -> list[Part]:
    """A part for each measure. tables: as `run.map` gives them, by name."""
    return [_part(name, table) for name, table in tables.items()]


def _part(name: str, table: pd.DataFrame) -> Part:
    notes = [str(table.attrs["note"])] if table.attrs.get("note") else []
    if missing := tidy.reasons(table):
        lost = int(table["value"].isna().sum())
        notes.append(f"{counted(lost, 'value')} of {len(table)} {'is' if lost == 1 else 'are'} missing: {missing[0]}.")
    package = name.rpartition(":")[0]
    intro = str(table.attrs.get("about") or f"What {name} gives at every site and step.")
    intro += f" From the package {package}." if package else ""
    return Part(f"own-{name.replace(':', '-')}", name, intro, list(_panels(name, table)), notes=notes)


def _panels(name: str, table: pd.DataFrame) -> Iterator[Panel]:
    pairs = str(table.attrs.get("pairs", ""))
    for size in dict.fromkeys(table["size"]):
        here = tidy.of(table, size=size)
        for component in tidy.ordered_components(here["component"].unique()):
            for quantity in dict.fromkeys(tidy.of(here, component=component)["quantity"]):
                rows = tidy.of(here, component=component, quantity=quantity)
                if rows["value"].notna().any():
                    figure = drawn(rows, "", str(table.attrs.get("units", "")), pairs)
                    title = f"{quantity} of {component}, {size}"
                    source = f"own/{name.replace(':', '.')}"
                    yield Panel(title, _caption(rows, pairs), figure, source=source)


def _caption(rows: pd.DataFrame, pairs: str) -> str:
    seeds, layers = len(tidy.integers(rows["seed"])), len(tidy.integers(rows["layer"]))
    heads = not len(tidy.whole(rows))
    over = [f"{counted(seeds, 'seed')}" if seeds > 1 else "", "heads" if heads else ""]
    told = f"{counted(layers, 'layer')}, {counted(int(rows['samples'].iloc[0]), 'sample')}"
    if median := " and ".join(filter(None, over)):
        told += f"; median over {median}" if layers > 1 or heads or pairs == "layers" else ""
    if pairs:
        told += f"; {_COMPARED[pairs]}"
    if layers == 1 and not heads and rows["low"].notna().any():
        told += f"; {tidy.level(rows)} intervals over sequences"
    return f"{told}."
