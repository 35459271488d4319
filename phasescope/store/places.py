"""What the place of a file in a run says of its contents; a file's place is a claim, which is held against the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasescope.store.contents import Scalar
from phasescope.store.manifests import inputs_of

_CHECKPOINT = r"(?P<size>[^/]+)/seed(?P<seed>\d+)/step(?P<step>\d{8,})\.h5"
_PLACES = {
    kind: re.compile(rf"(?P<run>.*?)(?:^|/){tail}$")
    for kind, tail in {
        "shard": rf"checkpoints/{_CHECKPOINT}",
        "cohort": r"cohorts/(?P<size>[^/]+)/step(?P<step>\d{8,})\.h5",
        "items": r"behaviour/(?P<kind>[^/]+)/(?P<name>[^/]+)/items\.h5",
        "scores": rf"behaviour/(?P<kind>[^/]+)/(?P<name>[^/]+)/{_CHECKPOINT}",
        "draws": rf"draws/{_CHECKPOINT}",
        "comparison of steps": rf"comparisons/steps/{_CHECKPOINT}",
        "comparison of sizes": r"comparisons/sizes/seed(?P<seed>\d+)/step(?P<step>\d{8,})\.h5",
        "inputs": r"inputs\.h5",
    }.items()
}
_READ_INPUTS = {"shard", "cohort", "draws", "comparison of steps", "comparison of sizes"}


@dataclass(frozen=True)
class Place:
    """The place of a file in a run.

    Attributes:
        run: the run's folder.
        kind: of the file, as people say it.
        says: attributes that the file has if it is in its place.
        lengths: of arrays, by the beginning of their names, the first axes; None: of any length.
    """

    run: Path
    kind: str
    says: Mapping[str, Scalar]
    lengths: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)

    def wrong(self, attrs: Mapping[str, Scalar]) -> Iterator[str]:
        """What a file with these attributes says that this place does not, in words."""
        for name, expected in self.says.items():
            found = attrs.get(name)
            if found != expected:
                yield f"its {name} is {'not said' if found is None else found}, not {expected}"

    def misfit(self, name: str, shape: tuple[int, ...]) -> str:
        """Why an array of that name cannot have that shape; empty if it can."""
        for beginning, lengths in self.lengths.items():
            if name.startswith(beginning) and (
                len(shape) < len(lengths)
                or any(due not in (None, is_) for due, is_ in zip(lengths, shape[: len(lengths)], strict=True))
            ):
                due = " × ".join("any" if length is None else str(length) for length in lengths)
                return f"{name} is {' × '.join(map(str, shape))} numbers, and by run.json its first axes are {due}"
        return ""


def shard_path(run: Path, size: str, seed: int, step: int, among: str = "checkpoints") -> Path:
    """Where the shard of a checkpoint is. among: `waiting`: where it waits to be completed."""
    return run / f"{among}/{size}/seed{seed}/step{step:08d}.h5"


def beginning(folder: Path) -> str:
    """What the paths of all files in a folder begin with: to take it off takes a tenth of `relative_to`."""
    return (folder / "_").as_posix()[:-1]


def place_of(path: Path) -> Place | None:
    """Where in a run a file is; None where it is in none."""
    for kind, pattern in _PLACES.items():
        found = pattern.fullmatch(path.as_posix())
        if found is None:
            continue
        run = Path(found["run"] or ("/" if path.is_absolute() else "."))
        if not (run / "run.json").is_file():
            continue
        says: dict[str, Scalar] = {
            name: int(value) if name in ("seed", "step") else value
            for name, value in found.groupdict().items()
            if name != "run"
        }
        inputs = inputs_of(run)
        if inputs and kind in _READ_INPUTS:
            says["inputs"] = inputs["hash"]
        if inputs and kind == "inputs":
            says["hash"] = inputs["hash"]
        return Place(run, kind, says, _lengths(kind, inputs) if inputs else {})
    return None


def _lengths(kind: str, inputs: dict[str, Any]) -> dict[str, tuple[int | None, ...]]:
    predicted = (inputs["output_sequences"], inputs["context"] - 1)
    if kind == "shard":
        found: dict[str, tuple[int | None, ...]] = {"outputs/": predicted, "probes/": (inputs["sequences"],)}
        if samples := _samples(inputs):
            found["activations/"] = (samples,)
        return found
    if kind == "comparison of steps":
        return {"kl_unigram": predicted, "kl_last": (2, *predicted), "kl_previous": (2, *predicted)}
    return {"kl": (None, None, *predicted)} if kind in ("cohort", "comparison of sizes") else {}


def _samples(inputs: dict[str, Any]) -> int:
    """Sampled positions of all sequences; 0 where that is not told."""
    positions = str(inputs.get("positions"))
    each = {"last": 1, "all": inputs["context"]}.get(positions, int(positions) if positions.isdecimal() else 0)
    return int(inputs["sequences"] * each)
