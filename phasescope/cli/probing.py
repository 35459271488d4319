"""The command that looks into an architecture that is not known, and proposes its entry."""

from __future__ import annotations

from typing import Annotated

import typer

from phasescope.cli.app import command
from phasescope.cli.options import Json, tell


@command("probe-architecture codegen", name="probe-architecture")
def probe_architecture(
    named: Annotated[
        str, typer.Argument(help="A model type, or a folder with config.json.", metavar="FOLDER|MODEL_TYPE")
    ],
    json_: Json = False,
) -> None:
    """An entry for a family: from a tiny random model of it, with the checks that it passes."""
    from phasescope.hooks.checks import probed
    from phasescope.reports.listings import probed_view

    found = probed(named)
    tell(found.as_record(), json_, lambda: probed_view(found))
