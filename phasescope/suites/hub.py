"""A suite on the hub: repositories and their revisions, looked up and matched by pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.suites.download import cached_repositories, cached_revisions
from phasescope.suites.hub_answers import explained
from phasescope.suites.naming import STEP_PATTERN, compiled, number
from phasescope.suites.suite import Checkpoint, Suite, size_in
from phasescope.suites.transfer import patiently

REPOSITORY = r"[\w.{}-]+/[\w.{}-]+"
# What may stand in a repository's name for a part that varies.
_PLACES = {"size": r"[A-Za-z0-9.]+", "seed": r"\d+", "step": r"\d+", "thousands": r"\d+"}


@dataclass(frozen=True)
class LookUp:
    """How revisions of a repository are found when it is opened: by names that `pattern` finds.

    of: `refs` (branches and tags), or `commits` (of the default branch, whose titles tell the step).
    """

    pattern: str
    of: Literal["refs", "commits"] = "refs"


def open_hub(repository: str, pattern: str | None = None) -> Suite:
    """The revisions (branches and tags) of a repository that `pattern` finds, as checkpoints.

    `repository` may vary: `EleutherAI/pythia-{size}-seed{seed}` stands for all repositories of that owner whose names
    read so. `{step}` or, where the name counts in thousands, `{thousands}` means that each checkpoint has a
    repository of its own.

    `pattern` is a regular expression, searched for in each revision's name, with a group `(?P<step>\\d+)` and, if the
    names tell them, `(?P<seed>\\d+)` and `(?P<size>…)`. Where nothing tells them the seed is 0 and the size is the
    number of parameters in the repository's name, or that name.

    In offline mode these are the repositories and revisions of which something is cached.

    Raises `PhasescopeError` if the hub cannot be reached, has no such repository, or no revision matches.
    """
    name = repository.partition("/")[2]
    family = re.sub(r"[-_.]*(?:seed|step)?[-_.]*$", "", name.partition("{")[0]) if "{" in name else name
    family = family or re.sub(r"\{\w*\}", "", name).strip("-_.") or name
    source = repository if pattern is None else f"{repository}@{pattern}"
    places = _places(repository)
    if places & {"step", "thousands"}:
        if pattern is not None:
            raise BadArgumentError(f"{repository} tells the step; leave out the pattern {pattern!r} for its revisions.")
        found = [_checkpoint(one, family, {**told, "revision": "main"}) for one, told in _varieties(repository)]
        return Suite(family, source, tuple(found))
    look_up = LookUp(pattern or STEP_PATTERN)
    # Also where nothing varies: then there is one, which tells nothing.
    varieties = list(_varieties(repository)) if places else [(repository, {})]
    found = [
        _checkpoint(one, family, {**told, **more})
        for one, told in varieties
        for more in revisions(one, look_up, may_lack=bool(places), typed=not places)
    ]
    if not found:
        raise PhasescopeError(
            f"No revision of the {len(varieties)} repositories that {repository} stands for matches "
            f"{look_up.pattern!r}. Give a pattern that matches, as in {repository}@{STEP_PATTERN}"
        )
    return Suite(family, source, tuple(found))


def revisions(repository: str, look_up: LookUp, *, may_lack: bool = False, typed: bool = False) -> list[dict[str, str]]:
    """What the pattern's groups find in each revision of a repository, and its name as `revision`.

    may_lack: whether there may be none. typed: whether somebody wrote this name, and may have meant a folder.

    Raises `PhasescopeError` if the hub cannot be reached or has no such repository, or if none
    matches.
    """
    from huggingface_hub import HfApi, constants

    expression = compiled(look_up.pattern)
    with explained(repository, typed=typed):
        if look_up.of == "refs" and constants.HF_HUB_OFFLINE and (there := cached_revisions(repository)):
            named = [(name, name) for name in there]
        elif look_up.of == "commits":
            # The newest first: of several commits of one step the last one counts.
            named = [(commit.title, commit.commit_id) for commit in HfApi().list_repo_commits(repository)]
        else:
            refs = patiently(lambda: HfApi().list_repo_refs(repository))
            named = [(name, name) for name in sorted({ref.name for ref in [*refs.branches, *refs.tags]})]
    found: list[dict[str, str]] = []
    for name, revision in named:
        match = expression.search(name)
        told = match.groupdict() if match else {}
        if match and not (look_up.of == "commits" and any(one["step"] == told["step"] for one in found)):
            found.append({**{key: value or "" for key, value in told.items()}, "revision": revision})
    if not found and not may_lack:
        names = [name for name, _ in named]
        raise PhasescopeError(
            f"No revision of {repository} matches {expression.pattern!r}; it has {', '.join(names[:20])}"
            f"{', …' if len(names) > 20 else ''}. Give a pattern that matches, as in {repository}@{STEP_PATTERN}"
        )
    return found


def _checkpoint(repository: str, family: str, told: dict[str, str]) -> Checkpoint:
    name, revision = repository.partition("/")[2], told["revision"]
    thousands = told.get("thousands")
    step = number(told["step"], "step", f"revision {revision!r}") if thousands is None else 1000 * int(thousands)
    return Checkpoint(
        family=family,
        size=told.get("size") or size_in(name) or family,
        seed=number(told.get("seed") or "0", "seed", f"revision {revision!r}"),
        step=step,
        location=repository,
        revision=revision,
    )


def _places(repository: str) -> set[str]:
    """The names in braces. Raises `PhasescopeError` for one that means nothing."""
    owner, _, name = repository.partition("/")
    places = re.findall(r"\{(.*?)\}", name)
    if "{" in owner or "}" in owner or re.sub(r"\{\w*\}", "", name).count("{") or set(places) - set(_PLACES):
        raise BadArgumentError(
            f"{repository!r} is not the name of a repository: what varies in a name is written "
            f"{', '.join(f'{{{place}}}' for place in _PLACES)}, and the owner does not vary."
        )
    return set(places)


def _varieties(repository: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The repositories of the hub whose names read like the template, and what stands for each of its places."""
    from huggingface_hub import HfApi, constants

    owner, _, name = repository.partition("/")
    parts = re.split(r"\{(\w+)\}", name)
    expression = "".join(
        re.escape(part) if index % 2 == 0 else _group(part, part in parts[1:index:2])
        for index, part in enumerate(parts)
    )
    with explained(repository):
        if constants.HF_HUB_OFFLINE:
            listed = set(cached_repositories(owner))
        else:
            listed = {model.id for model in HfApi().list_models(author=owner, search=max(parts[::2], key=len) or None)}
    matching = [(one, found) for one in sorted(listed) if (found := re.fullmatch(expression, one.partition("/")[2]))]
    if not matching:
        raise PhasescopeError(f"The hub shows no repository of {owner} whose name reads {name}. {_some(listed)}")
    for one, found in matching:
        yield one, {key: value for key, value in found.groupdict().items() if value}


def _group(place: str, again: bool) -> str:
    return f"(?P={place})" if again else f"(?P<{place}>{_PLACES[place]})"


def _some(listed: Iterable[str]) -> str:
    names = sorted(listed)
    if not names:
        return "Check the spelling of the owner and the name."
    return f"There are: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
