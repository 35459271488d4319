"""TransformerLens' names of models with checkpoints: revisions of a repository, or files in one of its own."""

from __future__ import annotations

import re
import warnings

from phasescope.errors import PhasescopeError, PhasescopeWarning, did_you_mean, require_library
from phasescope.suites.hub_answers import explained
from phasescope.suites.suite import Checkpoint, Suite, size_in
from phasescope.suites.transfer import patiently

PREFIX = "transformer_lens:"

# What is in a repository of its own, in none of the layouts that transformers reads.
_LABEL = re.compile(r"checkpoints/.*_(\d+)\.pth")
# As in TransformerLens: no run of this size takes that many steps.
_STEPS_AT_MOST = 1e9


def open_hooked(name: str) -> Suite:
    """The checkpoints of a model that TransformerLens knows as `name` (`solu-2l`, `pythia-70m`), or `owner/name`.

    Where they are revisions of an ordinary repository (Pythia, the GPT-2 of stanford-crfm) nothing is looked up. Where
    they are files in a repository of TransformerLens' own (`NeelNanda/…`), these are listed; the step is the label in
    the file's name, which in some repositories counts tokens (a `PhasescopeWarning` says so).

    Raises `PhasescopeError` for a name that TransformerLens does not know, or a model without checkpoints.
    """
    require_library("transformer_lens", "engines", f"The suite {PREFIX}{name}")
    from transformer_lens.model_bridge.sources.tl_legacy import TL_LEGACY_PREFIXES
    from transformer_lens.tools.model_registry.checkpoints import (
        PYTHIA_CHECKPOINTS,
        PYTHIA_V0_CHECKPOINTS,
        STANFORD_CRFM_CHECKPOINTS,
    )
    from transformer_lens.tools.model_registry.registry_io import load_model_aliases, resolve_model_alias

    repository, source = resolve_model_alias(name) or name, PREFIX + name
    if repository.startswith(TL_LEGACY_PREFIXES):
        return _of_files(repository, name, source)
    if repository.startswith("EleutherAI/pythia-"):
        steps = PYTHIA_V0_CHECKPOINTS if repository.endswith("-v0") else PYTHIA_CHECKPOINTS
        return _of_revisions(repository, source, steps, "step{}")
    if repository.startswith("stanford-crfm/"):
        return _of_revisions(repository, source, STANFORD_CRFM_CHECKPOINTS, "checkpoint-{}")
    if "/" in repository or repository in load_model_aliases():
        raise PhasescopeError(
            f"TransformerLens knows no checkpoints of {repository}. If its revisions are checkpoints, leave out "
            f"{PREFIX!r} and say how they are named: {repository}@step(?P<step>\\d+)$"
        )
    with_checkpoints = (*TL_LEGACY_PREFIXES, "EleutherAI/pythia-", "stanford-crfm/")
    known = [
        alias for one, names in load_model_aliases().items() if one.startswith(with_checkpoints) for alias in names[:1]
    ]
    raise PhasescopeError(f"TransformerLens has no model {name!r} with checkpoints. {did_you_mean(name, known)}")


def _of_revisions(repository: str, source: str, steps: list[int], revision: str) -> Suite:
    name = repository.partition("/")[2]
    seed = re.search(r"-(?:x|seed)(\d+)$", name)
    told = re.search(r"-(small|medium)-", name)
    size = size_in(name) or (told[1] if told else name)
    return Suite(
        name,
        source,
        tuple(
            Checkpoint(name, size, int(seed[1]) if seed else 0, step, repository, revision.format(step))
            for step in steps
        ),
    )


def _of_files(repository: str, name: str, source: str) -> Suite:
    from huggingface_hub import HfApi

    family = repository.partition("/")[2]
    with explained(repository):
        siblings = patiently(lambda: HfApi().model_info(repository, revision="main")).siblings or []
    checkpoints = tuple(
        Checkpoint(family, name.rpartition("/")[2], 0, int(found[1]), repository, "main", file)
        for file in (sibling.rfilename for sibling in siblings)
        if (found := _LABEL.fullmatch(file))
    )
    if not checkpoints:
        raise PhasescopeError(
            f"{repository} holds no checkpoints of its training (files such as checkpoints/{family}_1000.pth): choose "
            "another model of TransformerLens."
        )
    if max(checkpoint.step for checkpoint in checkpoints) > _STEPS_AT_MOST:
        warnings.warn(
            f"The checkpoints of {source} are labelled by the tokens that the model had seen: wherever steps are asked "
            "for or shown, they are tokens.",
            PhasescopeWarning,
            stacklevel=2,
        )
    return Suite(family, source, checkpoints)
