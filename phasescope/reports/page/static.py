"""Every figure of a report as a file, for papers and slides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.reports.kit.shown import shown
from phasescope.reports.kit.tables import RunLike, read_tables
from phasescope.reports.page.chapters import chapters, file_names, panels_of

if TYPE_CHECKING:
    from phasescope.reports.kit.panels import Panel

KINDS = ("svg", "pdf", "png")
# Pixels. On a page's width of text, 16 cm, letters of 14 pixels are 8 point. PNG has three pixels for each, for print.
_WIDTH = 760
_SCALE = 3
# As papers are set: dark, and in a font that every machine has; room at the left, for that font may be wider there.
_FONT = {"family": "Arial, Helvetica, sans-serif", "size": 14, "color": "#20242b"}
_LEFT = 96


def write_figures(
    run: RunLike, folder: str | Path, kind: str, own: Sequence[str] = (), axis: str | None = None
) -> list[Path]:
    """Write every figure of the report into `folder`, which is made if need be, and return the files.

    A browser draws them, offline, on white. Names tell what is seen: `410m-settling-mlp_out.svg`.

    Args:
        kind: `svg`, `pdf` or `png`.
        own: which measures of the user's own are drawn too, by the names of their tables.
        axis: what is counted: `tokens`, or what the run counts.

    Raises:
        PhasescopeError: the kind is unknown; kaleido or a browser is missing; a figure cannot be written.
    """
    if kind not in KINDS:
        raise PhasescopeError(f"Figures are written as {', '.join(KINDS)}, not as {kind!r}.")
    folder = Path(folder)
    with shown(run, axis) as run:
        written = chapters(run, read_tables(run), own)
    names = file_names(written)
    files = {folder / f"{names[id(panel)]}.{kind}": panel for _, _, panel in panels_of(written)}
    if files:
        _draw(files, folder, kind)
    return list(files)


def _draw(files: dict[Path, Panel], folder: Path, kind: str) -> None:
    kaleido = _kaleido()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Formulas are not used, and their library would be looked for in the network.
        failed = kaleido.write_fig_from_object_sync(
            [_order(path, panel, kind) for path, panel in files.items()], kopts={"mathjax": False}
        )
    except kaleido.errors.ChromeNotFoundError as error:
        raise PhasescopeError(
            "Figures are drawn by Chrome or Chromium, and neither was found: install one, or name it in BROWSER_PATH."
        ) from error
    except OSError as error:
        raise PhasescopeError(f"Figures cannot be written to {folder}: {error.strerror or error}.") from error
    if failed:
        raise PhasescopeError(f"{len(failed)} of {len(files)} figures could not be drawn; the first: {failed[0]}")


def _order(path: Path, panel: Panel, kind: str) -> dict[str, Any]:
    figure = panel.figure.to_plotly_json()
    layout = {**figure["layout"], "paper_bgcolor": "white", "autosize": False, "font": _FONT}
    layout["margin"] = {**layout["margin"], "l": max(layout["margin"]["l"], _LEFT)}
    layout["annotations"] = [_darker(note) for note in layout.get("annotations", ())]
    size = {"width": _WIDTH, "height": panel.height, "scale": _SCALE if kind == "png" else 1}
    return {"fig": {"data": figure["data"], "layout": layout}, "path": str(path), "opts": {"format": kind, **size}}


def _darker(note: dict[str, Any]) -> dict[str, Any]:
    return {**note, "font": {**note.get("font", {}), "color": _FONT["color"], "size": 12}}


def _kaleido() -> Any:
    try:
        import kaleido
        import kaleido.errors
    except ModuleNotFoundError as error:
        raise PhasescopeError(
            "Figures for papers need kaleido: pip install 'phasescope[figures]', and Chrome or Chromium."
        ) from error
    return kaleido
