"""What was probed, and how: the facts a reader needs to judge the figures or to make them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from phasescope.audit import Finding, audit_run, last_steps, left_out
from phasescope.console import counted, duration
from phasescope.reports.kit import steps_axis, tidy
from phasescope.reports.kit.attending import attending_of
from phasescope.reports.kit.tables import RunLike, missing_steps, nowhere
from phasescope.store import RunFolder, ShardKey

# Of size and seed, where checkpoints could not be read, this many are named in the overview.
_MOST_NAMED = 6


@dataclass(frozen=True)
class FactTable:
    """A small table. Without a header, the first column names what the second says."""

    title: str
    rows: Sequence[tuple[str, ...]]
    header: tuple[str, ...] = ()


def overview_facts(run: RunLike) -> list[tuple[str, str]]:
    """The few facts that stand on top: name and value."""
    manifest = run.manifest
    seeds = [len(run.seeds(size)) for size in run.sizes]
    steps = sorted({step for size in run.sizes for step in run.steps(size)})
    captured = sum(len(run.steps(size, seed)) for size in run.sizes for seed in run.seeds(size))
    span = f"{len(steps)} ({steps_axis.label(steps[0])} to {steps_axis.label(steps[-1])})" if steps else "0"
    facts = [
        ("checkpoints", str(captured)),
        ("sizes", f"{len(run.sizes)} ({tidy.listing(run.sizes, at_most=5)})" if run.sizes else "0"),
        ("seeds per size", _range(seeds)),
        ("steps", span),
        ("engine", str(manifest.get("engine", "unknown"))),
        ("captured", _when(manifest.get("updated") or manifest.get("created"))),
    ]
    failed = len(manifest.get("failed", []))
    return [*facts, ("could not be read", str(failed))] if failed else facts


def bad_sentence(manifest: dict[str, Any]) -> str:
    """How many checkpoints could not be read, and which; "" where all could."""
    failed = manifest.get("failed", [])
    if not failed:
        return ""
    asked = {(str(c["size"]), int(c["seed"]), int(c["step"])) for c in (*manifest.get("checkpoints", []), *failed)}
    of_seed: dict[tuple[str, int], list[int]] = {}
    for entry in failed:
        of_seed.setdefault((str(entry["size"]), int(entry["seed"])), []).append(int(entry["step"]))
    named = [f"{size} seed {seed} at {_steps(steps)}" for (size, seed), steps in of_seed.items()]
    return (
        f"{len(failed)} of {len(asked)} checkpoints could not be read and are in no number here: "
        f"{tidy.listing(named, at_most=_MOST_NAMED)}. The end of this page says why."
    )


def _steps(steps: list[int]) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"steps {numbers(steps)}"


def audit_sentences(run: RunLike) -> tuple[list[str], list[str]]:
    """What makes checkpoints suspect, and what is remarkable but as it should be; a sentence each."""
    found = audit_run(RunFolder(run.path))
    suspect = [finding.sentence for finding in found if finding.is_suspect]
    if left := _left_out_of(run, found):
        one = len(left) == 1
        said = f"{counted(len(left), 'checkpoint')} {'is' if one else 'are'} therefore in no number here"
        suspect.append(f"{said} (--keep-suspect keeps {'it' if one else 'them'}).")
    suspect += _ends(run, found)
    return suspect, [finding.sentence for finding in found if not finding.is_suspect]


def _ends(run: RunLike, found: Iterable[Finding]) -> list[str]:
    """What is called final of trainings whose last step is left out, or is suspect and read all the same."""
    suspects = {key for finding in found if finding.is_suspect for key in finding.suspects}
    said = []
    for (size, seed), last in last_steps(RunFolder(run.path).shards()).items():
        read = run.steps(size, seed) if size in run.sizes and seed in run.seeds(size) else []
        if read and read[-1] != last:
            said.append(f"What is called final of {size} seed {seed} is of step {read[-1]}, not of {last}.")
        elif read and ShardKey(size, seed, last) in suspects:
            said.append(f"What is called final of {size} seed {seed} is of step {last}, which is suspect itself.")
    return said


def _left_out_of(run: RunLike, found: Iterable[Finding]) -> set[ShardKey]:
    """The checkpoints that have a shard and are left out, as what was found says that they are not what they seem."""
    suspects = left_out(found) & set(RunFolder(run.path).shards())
    read = {(size, seed): set(run.steps(size, seed)) for size in run.sizes for seed in run.seeds(size)}
    return {key for key in suspects if key.step not in read.get((key.size, key.seed), set())}


def _audit(found: Iterable[Finding]) -> FactTable:
    rows = [
        (
            finding.sentence,
            finding.evidence,
            "as it should be" if finding.certainty == "legitimate" else finding.certainty,
        )
        for finding in found
    ]
    return FactTable("Are checkpoints what their names say?", rows, ("what is so", "evidence", "how sure"))


def inputs_sentence(run: RunLike) -> str:
    """What the models read, in a sentence."""
    inputs = run.manifest.get("inputs", {})
    if not inputs:
        return ""
    where = _positions(inputs.get("positions"))
    source = nowhere(str(inputs.get("source") or "an unnamed source"), run.path)
    begin = f", each beginning with {inputs['begins_with']}" if inputs.get("begins_with") else ""
    windows, tokens, outputs = (inputs.get(name) or 0 for name in ("sequences", "context", "output_sequences"))
    return (
        f"Every checkpoint read the same {_told(windows, 'sequence')} of {_told(tokens, 'token')} from "
        f"{source}{begin}; activations were sampled at {where}, and the first "
        f"{_told(outputs, 'sequence')} gave the outputs."
    )


def method_tables(run: RunLike) -> list[FactTable]:
    """What was asked, with what, on what, and what is missing and why."""
    manifest = run.manifest
    inputs = manifest.get("inputs", {})
    asked = [
        ("suite", str(manifest.get("family", "")) or "unnamed"),
        ("source", nowhere(str(manifest.get("source", "")), run.path) or "unknown"),
        ("components", tidy.listing(tidy.ordered_components(manifest.get("sites", [])), at_most=20) or "none"),
        ("engine", str(manifest.get("engine", "unknown"))),
        ("device, number format", f"{manifest.get('device', 'unknown')}, {manifest.get('dtype') or 'as stored'}"),
        ("first and last capture", f"{_when(manifest.get('created'))}, {_when(manifest.get('updated'))}"),
        ("time spent capturing", duration(float(manifest.get("seconds") or 0.0))),
    ]
    if gradients := manifest.get("asked", {}).get("gradients"):
        asked.append(("gradients of the loss", str(gradients)))
    read = [(_INPUTS.get(name, name), nowhere(_value(name, value), run.path)) for name, value in inputs.items()]
    versions = [(str(name), str(value)) for name, value in manifest.get("versions", {}).items()]
    found = audit_run(RunFolder(run.path))
    tables = [
        FactTable("What was asked", [*asked]),
        FactTable("What was read", [*read]),
        FactTable("Versions", [*versions]),
        _checkpoints(run),
        _attending(run),
        _trainings(manifest),
        _audit(found),
        *_gaps(run, found),
    ]
    return [table for table in tables if table.rows]


_INPUTS = {
    "hash": "hash of the inputs",
    "source": "text",
    "sequences": "sequences",
    "context": "tokens per sequence",
    "output_sequences": "sequences for outputs",
    "positions": "sampled positions",
    "vocabulary": "vocabulary",
    "counts_source": "token counts from",
    "begins_with": "windows begin with",
}


def _checkpoints(run: RunLike) -> FactTable:
    rows = []
    for size in run.sizes:
        seeds, steps = run.seeds(size), run.steps(size)
        captured = sum(len(run.steps(size, seed)) for seed in seeds)
        rows.append((size, numbers(seeds), numbers(steps), str(captured)))
    return FactTable("Checkpoints captured", rows, ("size", "seeds", "steps", "checkpoints"))


def _attending(run: RunLike) -> FactTable:
    """Which layers attend how far, and know how of positions, by size: of the first checkpoint of each."""
    rows: list[tuple[str, ...]] = []
    for size in run.sizes:
        told = attending_of(run, size)
        kinds = dict.fromkeys(told.values())
        rows += [(size, numbers(layer for layer, each in told.items() if each == how), *how) for how in kinds]
    return FactTable("How layers attend", rows, ("size", "layers", "attention", "positions"))


def _trainings(manifest: dict[str, Any]) -> FactTable:
    """Of a run that a `TrainingProbe` wrote: what capturing took beside training."""
    rows = [
        (
            str(entry["size"]),
            str(entry["seed"]),
            duration(entry["seconds_training"]),
            duration(entry["seconds_probing"]),
            f"{entry['overhead']:.1%}" if entry["overhead"] is not None else "unknown",
        )
        for entry in manifest.get("trainings", [])
    ]
    return FactTable("Captured while training", rows, ("size", "seed", "training", "capturing", "overhead"))


def _gaps(run: RunLike, found: Iterable[Finding]) -> Iterable[FactTable]:
    failed = [
        (str(entry["size"]), str(entry["seed"]), str(entry["step"]), nowhere(str(entry["reason"]), run.path))
        for entry in run.manifest.get("failed", [])
    ]
    if failed:
        yield FactTable("Checkpoints that could not be read", failed, ("size", "seed", "step", "reason"))
    left = _left_out_of(run, found)
    lacking = {
        (size, seed): [step for step in steps if ShardKey(size, seed, step) not in left]
        for (size, seed), steps in missing_steps(run).items()
    }
    gaps = [(size, str(seed), numbers(steps)) for (size, seed), steps in lacking.items() if steps]
    if gaps:
        yield FactTable("Steps that a seed lacks", gaps, ("size", "seed", "steps"))


def numbers(values: Iterable[int]) -> str:
    """Numbers in a row; many are shortened to the first few, the last and the count."""
    ordered = sorted(values)
    if len(ordered) > 16:
        shown = ", ".join(map(str, ordered[:8]))
        return f"{shown}, … {ordered[-1]} ({len(ordered)} in all)"
    return ", ".join(map(str, ordered))


def _range(values: list[int]) -> str:
    if not values:
        return "0"
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _when(stamp: object) -> str:
    """An ISO time stamp, to the minute."""
    from datetime import datetime

    if not stamp:
        return "unknown"
    try:
        moment = datetime.fromisoformat(str(stamp))
    except ValueError:
        return str(stamp)
    zone = f" {moment.tzname()}" if moment.tzinfo else ""
    return moment.strftime("%Y-%m-%d %H:%M") + zone


def _positions(positions: object) -> str:
    if positions == "last":
        return "the last position of each"
    if positions == "all":
        return "all positions"
    return f"{_told(positions, 'random position')} of each"


def _told(number: object, noun: str) -> str:
    """As `counted`; what is no number in a manifest that others wrote stays as it is."""
    return counted(number, noun) if isinstance(number, int) else f"{number} {noun}s"


def _value(name: str, value: object) -> str:
    if name == "positions":
        return str(value) if isinstance(value, str) else f"{value} random ones per sequence"
    return f"{value:,}" if isinstance(value, int) and name == "vocabulary" else str(value)
