"""Families of language models that transformers had and has no longer."""

from __future__ import annotations

from pathlib import Path

from phasescope.errors import BadCheckpointError

# Those of transformers 4.57's `models/deprecated` that are language models; version 5 has none of that folder.
LAST_VERSION = "4.57"
_GONE = (
    "bort",
    "ernie_m",
    "gptsan-japanese",
    "mega",
    "nezha",
    "open-llama",
    "qdqbert",
    "realm",
    "retribert",
    "transfo-xl",
    "xlm-prophetnet",
)


def require_family(folder: Path, label: str) -> None:
    """Raise `BadCheckpointError`, with the last version that had it, for a family that transformers has dropped."""
    import json

    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    kind = said.get("model_type") if isinstance(said, dict) else None
    if kind in _GONE and kind not in CONFIG_MAPPING:
        raise BadCheckpointError(
            f"{label} is a {kind} model, a family that transformers {__version__} no longer has: {LAST_VERSION} "
            "was the last that had it, and phasescope needs a later one. Choose another suite."
        )
