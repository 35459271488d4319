"""What an audit found, as people and programs read it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.console import counted
from phasescope.reports.kit.cells import plain, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from phasescope.audit import Finding

_SAID = {
    "certain": "[bold red]certain[/]",
    "likely": "[yellow]likely[/]",
    "note": "note",
    "legitimate": "as it should be",
}
_COLUMNS = ("rule", "certainty", "size", "seed", "step", "suspect", "sentence", "evidence")


def audit_view(findings: Sequence[Finding], of: str, what: str) -> RenderableType:
    """Each finding with its evidence, what is certain first. what: how much was looked at: `154 checkpoints`."""
    from rich.console import Group

    if not findings:
        return plain(f"{of}: nothing was found in {what} that is not as their names say.")
    made = table(f"{of}: {what}", "how sure", "rule", "what is so", "evidence")
    for one in findings:
        made.add_row(_SAID[one.certainty], plain(one.rule), plain(one.sentence), plain(one.evidence))
    suspects = {key for one in findings if one.certainty == "certain" for key in one.suspects}
    end = f"{counted(len(suspects), 'checkpoint')} cannot be believed." if suspects else "No fault is certain."
    return Group(made, plain(end))


def as_csv(findings: Sequence[Finding]) -> str:
    """A row for each checkpoint of each finding; one without a checkpoint where a finding is of none."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for one in findings:
        for key in one.checkpoints or (None,):
            place = ("", "", "") if key is None else (key.size, key.seed, key.step)
            rows.writerow((one.rule, one.certainty, *place, key in one.suspects, one.sentence, one.evidence))
    return text.getvalue()
