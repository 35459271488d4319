"""What a nursery's folder says of itself: `suite.json`, and whether a training may go on in that folder."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError
from phasescope.store import read_json, write_json
from phasescope.suites.corpus import Text
from phasescope.suites.recipe import Recipe
from phasescope.suites.shapes import Shape

SCHEMA = 1
# What may lie in a folder where a nursery was begun and killed before it had described itself.
BEGINNINGS = {"tokenizer", "tokens.npy", "token_counts.npy", "heldout.jsonl"}


@dataclass(frozen=True)
class Provenance:
    """How the models of a nursery came about: everything that their weights depend on, and what made them.

    Attributes:
        recipe: the options, by name.
        shapes: of each size trained so far, by name.
        seeds: trained so far.
        text: its digest, and how much of it there is.
        environment: the machine and the libraries that began it; others may differ in the last bits.
    """

    recipe: Mapping[str, Any]
    shapes: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    text: Mapping[str, Any]
    environment: Mapping[str, Any]

    @classmethod
    def of(cls, recipe: Recipe, shapes: Sequence[Shape], seeds: Sequence[int], text: Text, device: str) -> Provenance:
        """What a training with these is about to do, here and now."""
        return cls(
            recipe=asdict(recipe),
            shapes={shape.name: asdict(shape) for shape in shapes},
            seeds=tuple(seeds),
            text={
                "sha256": text.digest,
                "documents": len(text.training),
                "characters": sum(map(len, text.training)),
                "held_out_characters": sum(map(len, text.held_out)),
            },
            environment=_environment(device, recipe.architecture),
        )

    @classmethod
    def read(cls, folder: Path) -> Provenance | None:
        """What a folder says of itself; None if no nursery was begun there.

        Raises `PhasescopeError` if it holds something else, or was written by a newer phasescope.
        """
        path = folder / "suite.json"
        if not path.exists():
            strangers = sorted({entry.name for entry in folder.iterdir() if entry.name[0] != "."} - BEGINNINGS)
            if strangers:
                raise PhasescopeError(
                    f"{folder} is not empty and no nursery's: it holds {strangers[0]} and no suite.json. Choose "
                    "another folder."
                )
            return None
        found = read_json(path)
        schema = found.pop("schema", None) if isinstance(found, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise PhasescopeError(
                f"{path} was written by a newer phasescope (schema {schema}; this one knows {SCHEMA}). Upgrade it."
            )
        try:
            # Options that are younger than the folder: their defaults are what was done before there was a choice.
            recipe = {**asdict(Recipe()), **found["recipe"]}
            return cls(**{**found, "recipe": recipe, "seeds": tuple(found["seeds"])})
        except (TypeError, KeyError) as error:
            raise PhasescopeError(f"{path} describes no nursery ({error}). Choose another folder.") from error

    def write(self, folder: Path) -> None:
        write_json(folder / "suite.json", {"schema": SCHEMA, **asdict(self)})

    def joined(self, other: Provenance) -> Provenance:
        """This one, with the sizes and seeds of the other besides."""
        shapes = {**self.shapes, **other.shapes}
        seeds = tuple(sorted({*self.seeds, *other.seeds}))
        return Provenance(self.recipe, shapes, seeds, self.text, self.environment)

    def require_same(self, wanted: Provenance, folder: Path) -> None:
        """Raise `PhasescopeError`, with the differences spelled out, if `wanted` would train other models."""
        differences = [
            f"{name} was {self.recipe.get(name)!r} and is now {wanted.recipe.get(name)!r}"
            for name in dict.fromkeys([*self.recipe, *wanted.recipe])
            if self.recipe.get(name) != wanted.recipe.get(name)
        ]
        differences += [
            f"the size {name} was {dict(self.shapes[name])} and is now {dict(shape)}"
            for name, shape in wanted.shapes.items()
            if name in self.shapes and self.shapes[name] != shape
        ]
        # The digest is of the split text: another recipe may split the same text differently.
        if not differences and self.text["sha256"] != wanted.text["sha256"]:
            differences = [f"the text {_amount(self.text)} and {_amount(wanted.text, now=True)}"]
        if differences:
            raise PhasescopeError(
                f"{folder} was begun with another recipe: {'; '.join(differences)}. Train with what it was begun "
                "with, or choose another folder."
            )

    def other_environment(self, wanted: Provenance) -> str:
        """How the machine or the libraries have changed; empty if they have not."""
        return "; ".join(
            f"{name} was {self.environment.get(name)} and is now {value}"
            for name, value in wanted.environment.items()
            if self.environment.get(name) != value
        )


def _amount(text: Mapping[str, Any], now: bool = False) -> str:
    characters = text["characters"] + text["held_out_characters"]
    return f"{'is now another' if now else 'was one'} of {characters} characters (sha256 {text['sha256'][:12]}…)"


def _environment(device: str, architecture: str) -> dict[str, Any]:
    import torch

    libraries = ["phasescope", "torch", "transformers", "tokenizers", "numpy"]
    libraries += ["mambapy"] if architecture == "mamba" else []
    return {
        **{name: version(name) for name in libraries},
        "machine": platform.machine(),
        "device": device,
        "threads": torch.get_num_threads(),
    }


def tokens_of_a_step(folder: Path) -> int | None:
    """The tokens that one step of a nursery read, which one recipe has for all; None of another folder."""
    if not (folder / "suite.json").is_file():
        return None
    try:
        found = Provenance.read(folder)
    except PhasescopeError:  # damaged, or written by a newer phasescope: whoever trains there is told
        return None
    if found is None or not isinstance(found.recipe, Mapping):
        return None
    batch, context = (found.recipe.get(name) for name in ("batch", "context"))
    return batch * context if isinstance(batch, int) and isinstance(context, int) else None
