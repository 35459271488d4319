"""The configuration of a task of lm-evaluation-harness as written, and the documents that it names."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.readers.lines import raw_lines
from phasescope.texts.readers.odd_rows import OddRows


def read_config(path: Path) -> dict[str, Any]:
    """The fields of a YAML file over those of the files that it includes.

    Raises:
        PhasescopeError: no YAML mapping, Python code (`!function`), or a file that includes itself.
    """
    return _with_included(path, ())


def _with_included(path: Path, before: tuple[Path, ...]) -> dict[str, Any]:
    if path in before:
        raise PhasescopeError(f"{path} includes itself.")
    config = _yaml(path)
    included = config.pop("include", [])
    base: dict[str, Any] = {}
    for name in [included] if isinstance(included, str) else included:
        base |= _with_included(path.parent / str(name), (*before, path))
    return base | config


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Plain values; what is Python code is refused."""

    def refuse(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> None:
        raise PhasescopeError(
            f"{path} line {node.start_mark.line + 1} needs Python code (!{suffix}), which is not run. Run the harness "
            "with --log_samples, and give its samples_*.jsonl."
        )

    Loader.add_multi_constructor("!", refuse)
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise PhasescopeError(f"The task {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PhasescopeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise PhasescopeError(f"{path} holds no fields of a task, such as doc_to_text.")
    return config


def read_split(path: Path, config: dict[str, Any], split: str) -> list[tuple[str, dict[str, Any]]]:
    """The documents of a split, each with where it stands.

    With `dataset_path: json` the files of `dataset_kwargs.data_files` are read here, beside the configuration; any
    other data set by the package datasets.

    Raises:
        PhasescopeError: a file or split that is not there, or is not made of objects.
    """
    if config.get("dataset_path") != "json":
        return _from_hub(path, config, split)
    files = (config.get("dataset_kwargs") or {}).get("data_files")
    if isinstance(files, str | list):
        files = {"train": files}
    if not isinstance(files, dict):
        raise PhasescopeError(f"{path} names no files: dataset_kwargs must hold data_files, such as {{test: x.jsonl}}.")
    if split not in files:
        raise PhasescopeError(f"{path} names no file for the split {split!r}. {did_you_mean(split, files)}")
    named = [files[split]] if isinstance(files[split], str) else files[split]
    documents = [document for name in named for document in _read_json(_found(path, str(name)))]
    if not documents:
        raise PhasescopeError(f"{path}: the split {split!r} has no documents.")
    return documents


def _found(path: Path, name: str) -> Path:
    """Relative to the configuration; or to where we are, as the harness takes it."""
    beside = path.parent / name
    return beside if beside.is_file() else Path(name)


def _read_json(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """One object per line, or one list of objects."""
    lines = [line for line in raw_lines(path) if not line.is_blank]
    found: list[tuple[str, dict[str, Any]]] = []
    if not lines or not lines[0].raw.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        with OddRows(path, "lines") as odd:
            for line in lines:
                with odd.row():
                    found.append((line.place, line.json_object()))
        return found
    try:
        values = json.loads("\n".join(line.text() for line in lines))
    except (ValueError, RecursionError) as error:
        raise PhasescopeError(f"{path} is not JSON ({error}).") from error
    with OddRows(path, "documents") as odd:
        for place, value in ((f"{path} document {i}", value) for i, value in enumerate(values)):
            with odd.row():
                if not isinstance(value, dict):
                    raise PhasescopeError(f"{place} is a JSON {type(value).__name__}, not an object.")
                found.append((place, value))
    return found


def _from_hub(path: Path, config: dict[str, Any], split: str) -> list[tuple[str, dict[str, Any]]]:
    repository = config.get("dataset_path")
    if not isinstance(repository, str):
        raise PhasescopeError(f"{path} has no field 'dataset_path'. {did_you_mean('dataset_path', config)}")
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise PhasescopeError(
            f"Reading the data set {repository} needs the package datasets: pip install 'phasescope[datasets]'."
        ) from error
    local = path.parent / repository
    try:
        rows = load_dataset(
            str(local) if local.is_dir() else repository,
            config.get("dataset_name"),
            split=split,
            **(config.get("dataset_kwargs") or {}),
        )
        return [(f"{repository} {split} row {number}", dict(row)) for number, row in enumerate(rows)]
    except Exception as error:  # not there, no network, a wrong split, …: the library's own sentence says which
        said = " ".join(str(error).split()[:40])
        raise PhasescopeError(f"{path}: the data set {repository} (split {split}) cannot be read: {said}") from error
