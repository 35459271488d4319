"""Which checkpoints there are and how to load one: local folders, the hub, presets, the nursery."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError, PhasescopeWarning, did_you_mean
from phasescope.suites.hooked import PREFIX, open_hooked
from phasescope.suites.hub import REPOSITORY, open_hub
from phasescope.suites.local import open_local
from phasescope.suites.offered import offered_suites, suite_offered
from phasescope.suites.presets import PRESETS
from phasescope.suites.suite import Checkpoint, Suite

if TYPE_CHECKING:
    from phasescope.suites.nursery import train

__all__ = ["PRESETS", "Checkpoint", "Suite", "open_suite", "train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        # Loaded on first use: training needs torch and transformers, naming checkpoints does not.
        from phasescope.suites.nursery import train

        return train
    raise AttributeError(f"module 'phasescope.suites' has no attribute {name!r}")


def open_suite(
    spec: str | Path | Suite,
    *,
    config: str | Path | None = None,
    prefix: str = "",
    sizes: str | Sequence[str] | None = None,
) -> Suite:
    """The suite that `spec` names.

    - a folder: `"runs/nursery"` (see `phasescope.suites.local.open_local` for the layouts); or `"folder@pattern"`
      with a regular expression for the paths in it: `r"runs/mine@final-step(?P<step>\\d+)"`;
    - a preset, one of `PRESETS`: `"pythia"`, `"polypythia"`, … (listed without a network), or one that an installed
      package offers;
    - a repository on the hub: `"owner/name"`, whose revisions are called `step<n>` or the like; `"owner/name@pattern"`
      with a regular expression for the revisions: `r"owner/name@^ckpt-(?P<step>\\d+)$"`; `"owner/name@commits:"` for
      its commits and `"owner/name@folders:"` for its folders, with or without a pattern (see `open_hub`);
    - one run in two repositories: `"owner/early+owner/late"`;
    - several repositories: `"EleutherAI/pythia-{size}-seed{seed}"`, with or without a pattern;
    - a model that TransformerLens knows checkpoints of: `"transformer_lens:solu-2l"` (see `open_hooked`).

    A folder of that name goes before a preset or a repository. A `Suite` is returned as it is.

    What is left out is told in a `PhasescopeWarning`: revisions that are not matched, folders that hold a model under
    another name.

    config: a folder with the config.json of the models, for weights that lie without one (`.pt` and `.ckpt` files,
        distributed checkpoints, GPT-NeoX's); None: one beside them or in a folder above. prefix: what stands before
        the names of the weights (`model.`); empty: found out. sizes: the hub is not asked for repositories whose names
        tell another size; which sizes there are is told where none is of these. To choose, `select`.

    Raises `PhasescopeError` if there is none, with the nearest preset or the layouts expected.
    """
    if isinstance(spec, Suite):
        return spec
    opened = _opened(spec, (sizes,) if isinstance(sizes, str) else tuple(sizes or ()))
    if opened.left_out:
        warnings.warn(opened.left_out_note, PhasescopeWarning, stacklevel=2)
    if config is None and not prefix:
        return opened
    folder = Path(config).expanduser().absolute() if config is not None else None
    if folder is not None and not (folder / "config.json").is_file():
        raise PhasescopeError(f"{folder} has no config.json: name the folder of a model's configuration.")
    told = (replace(one, config=str(folder or ""), prefix=prefix) for one in opened.checkpoints)
    return replace(opened, checkpoints=tuple(told))


def _opened(spec: str | Path, sizes: Sequence[str] = ()) -> Suite:
    if isinstance(spec, str) and (parts := _folder_and_pattern(spec)):
        return open_local(*parts)
    if isinstance(spec, Path) or _is_path(spec):
        return open_local(spec)
    if spec in PRESETS:
        return PRESETS[spec].suite(sizes if PRESETS[spec].is_looked_up else ())
    if (given := suite_offered(spec)) is not None:
        return given if isinstance(given, Suite) else _opened(given, sizes)
    if spec.startswith(PREFIX):
        return open_hooked(spec.removeprefix(PREFIX))
    repository, _, pattern = spec.partition("@")
    if re.fullmatch(REPOSITORY, repository):
        return open_hub(repository, pattern or None, sizes)
    raise PhasescopeError(
        f"{spec!r} is no folder, no repository on the hub (owner/name) and no preset. "
        f"{did_you_mean(spec, [*PRESETS, *(one.full for one in offered_suites())])}"
    )


def _folder_and_pattern(spec: str) -> tuple[str, str] | None:
    """The two parts of `folder@pattern`; a folder of that whole name goes first, and its name may have an @ too."""
    if Path(spec).expanduser().exists():
        return None
    places = [place for place, letter in enumerate(spec) if letter == "@"]
    there = next((place for place in places if Path(spec[:place]).expanduser().is_dir()), None)
    return None if there is None else (spec[:there], spec[there + 1 :])


def _is_path(spec: str) -> bool:
    """Whether a specification is a folder, or can only have been meant as one."""
    if not spec:
        return False
    path = Path(spec).expanduser()
    looks_like_one = path.is_absolute() or spec.startswith((".", "~")) or spec.endswith(os.sep)
    # `runs/nursry` is meant as a path where there is a folder `runs`, and as a repository elsewhere.
    return looks_like_one or path.exists() or (len(path.parts) > 1 and path.parent.is_dir())
