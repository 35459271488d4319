"""The report: one HTML file that opens offline, with everything it needs inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit.answer import LAYERS
from phasescope.reports.kit.packed import packed
from phasescope.reports.kit.tables import RunLike
from phasescope.reports.page import methods
from phasescope.reports.page.chapters import Chapter, file_names
from phasescope.reports.page.contents import Contents, writing
from phasescope.reports.page.findings import by_topic, telling
from phasescope.reports.page.writing import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment

    from phasescope.reports.kit.panels import Panel


# Above this many bytes the page packs plotly too, which it then has to unpack before it can draw.
_LARGE = 7_000_000


def write_report(run: RunLike, path: str | Path, own: Sequence[str] = (), axis: str | None = None) -> Path:
    """Write the HTML report of a run to `path` and return the path.

    The page holds its figures, its scripts and its styles, and asks nothing of any network. The file is written whole
    or not at all.

    Args:
        own: which measures of the user's own have a chapter, by the names of their tables.
        axis: what is counted: `tokens`, or what the run counts.

    Raises:
        PhasescopeError: the file cannot be written.
    """
    path = Path(path)
    text = report_html(run, own, axis)
    write_whole(path, text, run.path)
    return path


def report_html(run: RunLike, own: Sequence[str] = (), axis: str | None = None) -> str:
    """The whole page as text."""
    with writing(run, own, axis) as contents:
        return _page(run, contents)


def _page(run: RunLike, contents: Contents) -> str:
    from plotly.offline import get_plotlyjs

    lead, shown, absent = _arranged(contents.chapters)
    family = str(run.manifest.get("family") or "unnamed suite")
    page = _environment().get_template("report.html.j2")
    content = {
        "family": family,
        "subtitle": _subtitle(run),
        "facts": methods.overview_facts(run),
        "inputs": methods.inputs_sentence(run),
        "bad": methods.bad_sentence(run.manifest),
        "suspect": methods.audit_sentences(run)[0],
        "lead": lead,
        "telling": telling(contents.findings),
        "findings": len(contents.findings),
        "groups": by_topic(contents.findings),
        "sections": shown,
        "absent": absent,
        "names": file_names(contents.chapters),
        "methods": methods.method_tables(run),
        "version": str(run.manifest.get("versions", {}).get("phasescope", "")),
    }
    library = get_plotlyjs()
    text = page.render(content, plotly_js=_raw(library.replace("</script", "<\\/script")), plotly_packed="")
    if len(text.encode()) <= _LARGE:
        return text
    return page.render(content, plotly_js="", plotly_packed=packed(library))


def _arranged(written: Sequence[Chapter]) -> tuple[Panel | None, list[Chapter], list[tuple[str, Sequence[str]]]]:
    """The picture that stands above all, the chapters that have others, and of those that have none why: title, notes.

    That picture is the first of when layers settle over the phases of behaviour.
    """
    lead: Panel | None = None
    shown: list[Chapter] = []
    absent: list[tuple[str, Sequence[str]]] = []
    for chapter in written:
        parts = list(chapter.parts)
        if chapter.key == LAYERS and parts[0].panels:
            lead = parts[0].panels[0]
            parts[0] = replace(parts[0], panels=parts[0].panels[1:])
            parts = parts if parts[0].panels or parts[0].folded else parts[1:]
        if any(part.panels or part.folded for part in parts):
            shown.append(replace(chapter, parts=parts))
        else:
            absent += [(part.title, part.notes) for part in parts if part.notes]
    return lead, shown, absent


def _subtitle(run: RunLike) -> str:
    seeds = sorted({seed for size in run.sizes for seed in run.seeds(size)})
    steps = {step for size in run.sizes for step in run.steps(size)}
    counts = [(len(run.sizes), "size"), (len(seeds), "seed"), (len(steps), "step")]
    return " × ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("phasescope.reports.page", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals["asset"] = lambda name: _raw(_asset(environment, name))
    environment.filters["raw"] = _raw
    environment.globals["id"] = id
    return environment


def _asset(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _raw(text: str) -> Any:
    """Text that is not escaped: our own scripts and styles, and JSON made safe for a script element."""
    from markupsafe import Markup

    return Markup(text)
