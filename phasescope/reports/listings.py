"""Short lists in the terminal: suites, what verify found, what the demonstration found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.reports.kit.cells import plain, table
from phasescope.reports.page.methods import numbers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from phasescope.hooks.checks import Probed
    from phasescope.plugins import Offered
    from phasescope.store import Finding
    from phasescope.suites import Suite
    from phasescope.suites.preset import Preset
    from phasescope.texts.counts.ngram_index import Description
    from phasescope.visits import Compared


# Characters: wider than any table, and far less than what takes long.
_WIDEST = 100_000


def show(view: RenderableType) -> None:
    """Print on stdout what people look at: as wide as the terminal; elsewhere (a pipe, a file) as wide as it needs."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        needed = console.measure(view, options=console.options.update(width=_WIDEST)).maximum
        console = Console(highlight=False, width=max(needed, 1))
    console.print(view)


def presets_view(presets: Iterable[Preset], theirs: Iterable[Offered] = ()) -> RenderableType:
    """The suites that are known by name; theirs: those that packages offer."""
    made = table("Suites", "name", "what there is", caption="More of one: phasescope suites NAME")
    made.columns[0].no_wrap = True  # It is what has to be typed.
    for preset in presets:
        made.add_row(preset.name, f"{preset.about}\n[dim]{_extent(preset)}[/]")
    for one in theirs:
        made.add_row(plain(one.name), plain(f"{one.about}\nfrom {one.package}".strip()))
    return made


def plugins_view(found: Sequence[Mapping[str, str]]) -> RenderableType:
    """What installed packages offer: kind, name, package, what it is."""
    if not found:
        return plain("No plug-ins are installed.")
    made = table("Plug-ins", "kind", "name", "from", "what it is")
    for one in found:
        made.add_row(*(plain(one[column]) for column in ("kind", "name", "package", "about")))
    return made


def _extent(preset: Preset) -> str:
    """Sizes, seeds and steps in a line."""
    if not preset.sizes:
        return f"{preset.repository}: the hub is asked"
    seeds = f"seed{'s' if len(preset.seeds) > 1 else ''} {spans(preset.seeds)}"
    steps = f"{len(preset.steps)} steps up to {preset.steps[-1]}" if len(preset.steps) > 1 else "one step"
    return f"{' '.join(preset.sizes)} · {seeds} · {'steps: the hub is asked' if preset.is_looked_up else steps}"


def suite_view(suite: Suite, bytes_of_one: Mapping[str, int] | None = None) -> RenderableType:
    """The sizes, seeds and steps of a suite; and the disk that it needs, given the bytes of one checkpoint."""
    from phasescope.suites.room import readable
    from phasescope.suites.trajectories import stages_of

    absent, disk = suite.missing(), bytes_of_one or {}
    told = stages_of(suite)
    made = table(repr(suite), "size", "seeds", "checkpoints", suite.unit, *(["one needs", "all need"] if disk else []))
    for size in suite.sizes:
        count = sum(1 for checkpoint in suite if checkpoint.size == size)
        lacking = [f"seed {seed} lacks {spans(steps)}" for (of, seed), steps in absent.items() if of == size]
        stages = [f"{name or 'first'}: {first} to {last}" for name, (first, last) in told.get(size, {}).items()]
        steps = "; ".join([spans(suite.steps(size)), *stages, *lacking])
        needs = [f"~{readable(disk[size])}", f"~{readable(count * disk[size])}"] if size in disk else ["?", "?"]
        made.add_row(plain(size), _seeds(suite, size), str(count), steps, *(needs if disk else []))
    return made


def architectures_view(entries: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Architectures, and the components of each."""
    made = table(
        "Architectures", "model type", "where", "components", caption="More of one: phasescope architectures MODEL_TYPE"
    )
    for entry in entries:
        made.add_row(plain(entry["model_type"]), plain(_settings(entry)), plain(", ".join(entry["components"])))
    return made


def architecture_view(entries: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Where one architecture has its components, and its weights: paths from the layer, by kind of layer."""
    made = table(f"{entries[0]['model_type']}: paths in {entries[0]['layers']}.{{layer}}", "where", "what", "path")
    for entry in entries:
        for kind, own in entry["kinds"].items():
            where = ", ".join(filter(None, (kind, _settings(entry))))
            for name, path in own["taps"].items():
                made.add_row(plain(where), plain(name), plain(_place(path)))
            made.add_row(plain(where), "weights", plain(", ".join(own["weights"])))
    return made


def probed_view(found: Probed) -> RenderableType:
    """What was checked of an architecture, and its entry as Python."""
    from rich.console import Group
    from rich.text import Text

    made = table(f"{found.entry.model_type}: {'known' if found.known else 'proposed'}", "holds", "check", "")
    for check in found.checks:
        made.add_row("[green]yes[/]" if check.holds else "[red]no[/]", plain(check.what), plain(check.why))
    return Group(
        made, "", Text(found.code) if not found.known else plain("Its entry is phasescope's own, or registered.")
    )


def _place(path: str) -> str:
    module, _, side = path.partition(":")
    return f"{module or 'the layer'}{' (what goes in)' * (side == 'input')}"


def _settings(entry: Mapping[str, Any]) -> str:
    settings = [f"{name}={value}" for name, value in entry["when"].items()]
    return ", ".join([*settings, *(["masked"] if entry["masked"] else [])])


def _seeds(suite: Suite, size: str) -> str:
    """The seeds of a size, with their names where they have some."""
    names = {one.seed: one.seed_name for one in suite if one.size == size and one.seed_name}
    if not names:
        return spans(suite.seeds(size))
    return ", ".join(f"{seed} ({names[seed]})" if seed in names else str(seed) for seed in suite.seeds(size))


def compared_view(found: Compared, run: Path) -> RenderableType:
    """How many comparisons were made, and what comes next."""
    text = f"{counted(found.made, 'comparison')} made, {found.already} {'was' if found.already == 1 else 'were'} there"
    text += f", {found.left_out} left out because a checkpoint cannot be read" if found.left_out else ""
    return plain(f"{text}. Next: phasescope analyse {run} seeds")


def spans(values: Iterable[int]) -> str:
    """Numbers in a row, those at even distances as a span; the first few where there are too many spans.

    >>> spans([0, 1, 2, 4, *range(1000, 143_001, 1000)])
    '0, 1, 2, 4, 1000 to 143000 by 1000'
    """
    left, said = sorted(values), list[str]()
    while left:
        step = left[1] - left[0] if len(left) > 1 else 0
        length = next((n for n in range(2, len(left)) if left[n] - left[n - 1] != step), len(left))
        if length >= 4:
            said.append(f"{left[0]} to {left[length - 1]}{f' by {step}' if step > 1 else ''}")
        else:
            length = 1
            said.append(str(left[0]))
        left = left[length:]
    return ", ".join(said) if len(said) <= 16 else numbers(values)


def index_view(about: Description, out: Path) -> RenderableType:
    """What an n-gram index holds, and how to use it."""
    from rich.console import Group

    units, documents = counted(about.total, about.unit), counted(about.documents, "document")
    held = f"{units} ({about.vocabulary:,} different) of {documents}"
    return Group(
        plain(f"{out}: {held}, from {about.source}."), plain(f"phasescope analyse RUN heuristics --reference {out}")
    )


def verify_view(findings: Sequence[Finding]) -> RenderableType:
    """What verify found: each problem, or that there is none."""
    from rich.console import Group

    problems = [finding for finding in findings if finding.problem]
    if not problems:
        whole = "The one file is" if len(findings) == 1 else f"All {len(findings)} files are"
        return plain(f"{whole} whole: every checksum and digest fits.")
    said = [plain(f"✗ {finding.problem}") for finding in problems]
    they = "is not as it was" if len(problems) == 1 else "are not as they were"
    return Group(*said, plain(f"{len(problems)} of {counted(len(findings), 'file')} {they} written."))


def findings_view(sentences: Sequence[str], run: Path, size: str, report: Path) -> RenderableType:
    """What was found, and where to look."""
    from rich.console import Group
    from rich.padding import Padding

    found = [Padding(plain(f"• {sentence}"), (0, 0, 0, 2), expand=False) for sentence in sentences]
    commands = [f"phasescope info {run}", f"phasescope layer {run} 1 mlp_out --size {size}"]
    look = [Padding(plain(command), (0, 0, 0, 2), expand=False) for command in commands]
    return Group("", *found, "", plain(f"Report: {report}"), "Look on:", *look)
