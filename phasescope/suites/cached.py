"""What lies in the hub's cache."""

from __future__ import annotations

from pathlib import Path


def cached_revisions(repository: str) -> list[str]:
    """The branches and tags of a repository of which something lies in the cache."""
    refs = cache_of(repository) / "refs"
    return sorted(str(path.relative_to(refs)) for path in refs.rglob("*") if path.is_file())


def cached_repositories(owner: str) -> list[str]:
    """The repositories of an owner of which something lies in the cache."""
    beginning = cache_of(owner).name + "--"
    found = cache_of(owner).parent.glob(f"{beginning}*")
    return sorted(f"{owner}/{path.name.removeprefix(beginning)}" for path in found)


def cache_of(repository: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser().resolve() / f"models--{repository.replace('/', '--')}"
