"""A suite on the hub: repositories and their revisions, looked up and matched by pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.suites.cached import cached_repositories, cached_revisions
from phasescope.suites.download import folders_in
from phasescope.suites.hub_answers import explained
from phasescope.suites.naming import EXAMPLE, NAMES, TITLES, Told, compiled, looks_like_a_step, told_by
from phasescope.suites.suite import Suite, size_in
from phasescope.suites.trajectories import Found, assembled
from phasescope.suites.transfer import patiently

_NAME = r"[\w.{}-]+/[\w.{}-]+"
REPOSITORY = rf"{_NAME}(?:\+{_NAME})*"
# What may stand in a repository's name for a part that varies.
_PLACES = {"size": r"[A-Za-z0-9.]+", "seed": r"\d+", "step": r"\d+", "thousands": r"\d+", "recipe": r"[\w.-]+?"}
_DEFAULT_BRANCHES = ("main", "master")
_Of = Literal["refs", "commits", "folders"]


@dataclass(frozen=True)
class LookUp:
    """How checkpoints of a repository are found when it is opened: by names that `pattern` finds.

    of: `refs` (branches and tags), `commits` (of the default branch, whose titles tell the step), or `folders` (of the
        default branch).
    """

    pattern: str = NAMES
    of: _Of = "refs"

    @classmethod
    def parse(cls, text: str) -> LookUp:
        """Read what stands behind the @ of `owner/name@…`: a pattern, or `commits:` or `folders:` and a pattern.

        >>> LookUp.parse("commits:Step (?P<step>\\\\d+)").of
        'commits'
        """
        of, colon, pattern = text.partition(":")
        if not colon or of not in get_args(_Of):
            return cls(text or NAMES)
        return cls(pattern or (TITLES if of == "commits" else NAMES), of)  # type: ignore[arg-type]


def open_hub(repository: str, pattern: str | None = None, sizes: Sequence[str] = ()) -> Suite:
    """The revisions (branches and tags) of a repository that `pattern` finds, as checkpoints.

    `repository` may vary: `EleutherAI/pythia-{size}-seed{seed}` stands for all repositories of that owner whose names
    read so. `{step}` or, where the name counts in thousands, `{thousands}` means that each checkpoint has a
    repository of its own. `owner/early+owner/late` is one run in two repositories; of a step that both have, the first
    counts.

    `pattern` is a regular expression, searched for in each revision's name, with a group `(?P<step>\\d+)` and, if the
    names tell them, the other groups of `phasescope.suites.naming`. `commits:` before it searches the titles of the
    commits instead (of several of one step the newest counts), `folders:` the folders of the default branch. Without a
    pattern names such as `step1000` and `stage1-step1000-tokens4B` are found, and titles with `step 1000` in them.
    Where nothing tells them the seed is 0 and the size is the number of parameters in the repository's name, or that
    name.

    In offline mode these are the repositories and revisions of which something is cached. Revisions that no pattern
    matches are `left_out` of the suite.

    sizes: if any, repositories whose names tell another size are not asked.

    Raises `PhasescopeError` if the hub cannot be reached, has no such repository, or no revision matches.
    """
    source = repository if pattern is None else f"{repository}@{pattern}"
    family = _family(repository.partition("+")[0])
    found, left_out = found_in(repository, None if pattern is None else LookUp.parse(pattern), family, sizes)
    return assembled(family, source, found, left_out=left_out)


def found_in(
    repository: str, look_up: LookUp | None, family: str, sizes: Sequence[str] = ()
) -> tuple[list[Found], list[str]]:
    """The checkpoints of a repository, of several, or of all whose names read so; and the names that are no match.

    family: what a size is called where no name tells it. sizes: as for `open_hub`. Raises as `open_hub` does.
    """
    found: list[Found] = []
    left_out: list[str] = []
    for one in repository.split("+"):
        places = _places(one)
        if places & {"step", "thousands"}:
            if look_up is not None:
                raise BadArgumentError(
                    f"{one} tells the step; leave out the pattern {look_up.pattern!r} for its revisions."
                )
            found += [
                _located(Found(told_by(told, name), name, name, "main"), family) for name, told in _varieties(one)
            ]
            continue
        # Also where nothing varies: then there is one, which tells nothing.
        varieties = _of_sizes(list(_varieties(one)), sizes) if places else [(one, {})]
        asked = look_up or LookUp()
        for name, told in varieties:
            there, beside = revisions(name, asked, told, may_lack=bool(places), typed=not places)
            found += [_located(each, family) for each in there]
            left_out += beside if name == repository else [f"{name}@{each}" for each in beside]
        if not found:
            raise PhasescopeError(
                f"No revision of the {len(varieties)} repositories that {one} stands for matches "
                f"{_readable(asked)}. Give a pattern that matches, as in {one}@{EXAMPLE}"
            )
    return (_first_of(found) if "+" in repository else found), left_out


def revisions(
    repository: str,
    look_up: LookUp,
    told: Mapping[str, str] | None = None,
    *,
    may_lack: bool = False,
    typed: bool = False,
) -> tuple[list[Found], list[str]]:
    """What the pattern finds in each revision of a repository, and the names of those in which it finds nothing.

    told: what the repository's own name tells. may_lack: whether there may be none. typed: whether somebody wrote this
    name, and may have meant a folder.

    Raises `PhasescopeError` if the hub cannot be reached or has no such repository, or if none
    matches.
    """
    expression = compiled(look_up.pattern)
    found: dict[object, Found] = {}
    left_out: list[str] = []
    named = _named(repository, look_up.of, typed)
    for name, revision in named:
        if match := expression.search(name):
            groups = {**match.groupdict(), **(told or {})}
            folder = name if look_up.of == "folders" else ""
            one = Found(told_by(groups, f"revision {name!r}"), name, repository, revision, folder)
            # The newest commits come first: of several of one step the last one counts.
            found.setdefault(one.told if look_up.of == "commits" else name, one)
        elif name not in _DEFAULT_BRANCHES and (look_up.of != "commits" or looks_like_a_step(name)):
            left_out.append(name)
    if not found and not may_lack:
        what = {"refs": "revision", "commits": "commit", "folders": "folder"}[look_up.of]
        names = [name for name, _ in named]
        raise PhasescopeError(
            f"No {what} of {repository} matches {_readable(look_up)}; it has {', '.join(names[:20])}"
            f"{', …' if len(names) > 20 else ''}. Give a pattern that matches, as in {repository}@{EXAMPLE}"
        )
    return list(found.values()), left_out


def _named(repository: str, of: _Of, typed: bool) -> list[tuple[str, str]]:
    """The names among which is looked, each with its revision."""
    from huggingface_hub import HfApi, constants

    with explained(repository, typed=typed):
        if of == "refs" and constants.HF_HUB_OFFLINE and (there := cached_revisions(repository)):
            return [(name, name) for name in there]
        if of == "folders":
            return [(folder, "main") for folder in folders_in(repository)]
        if of == "commits":
            return [(one.title, one.commit_id) for one in patiently(lambda: HfApi().list_repo_commits(repository))]
        refs = patiently(lambda: HfApi().list_repo_refs(repository))
        return [(name, name) for name in sorted({ref.name for ref in [*refs.branches, *refs.tags]})]


def _located(found: Found, family: str) -> Found:
    """With the size that the repository's name tells, where nothing else did."""
    size = found.told.size or size_in(found.location.partition("/")[2]) or family
    return replace(found, told=replace(found.told, size=size))


def _first_of(found: Iterable[Found]) -> list[Found]:
    """Of a checkpoint that several repositories have, that of the first."""
    whose: dict[Told, str] = {}
    return [one for one in found if whose.setdefault(replace(one.told, tokens=None), one.location) == one.location]


def _readable(look_up: LookUp) -> str:
    return "the usual names (step1000, checkpoint-1000, …)" if look_up.pattern == NAMES else repr(look_up.pattern)


def _family(repository: str) -> str:
    name = repository.partition("/")[2]
    family = re.sub(r"[-_.]*(?:seed|step)?[-_.]*$", "", name.partition("{")[0]) if "{" in name else name
    return family or re.sub(r"\{\w*\}", "", name).strip("-_.") or name


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


def _of_sizes(varieties: list[tuple[str, dict[str, str]]], sizes: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Those that may be of one of the sizes; all, where none is: who chooses says which there are."""
    found = []
    for name, told in varieties:
        size = "-".join(part for part in (told.get("size"), told.get("recipe")) if part)
        if "size" not in told or any(one == size or one.startswith(f"{size}-") for one in sizes):
            found.append((name, told))
    return found if sizes and found else varieties


def _group(place: str, again: bool) -> str:
    return f"(?P={place})" if again else f"(?P<{place}>{_PLACES[place]})"


def _some(listed: Iterable[str]) -> str:
    names = sorted(listed)
    if not names:
        return "Check the spelling of the owner and the name."
    return f"There are: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
