"""The parts of a report about study B: how far apart models are, for which tokens, and from what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.seeds import figures

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import RunLike, Tables

BY_NAMES = {
    "frequency": "frequency",
    "pos": "part of speech",
    "previous_pos": "part of speech of the word before",
    "final_surprisal": "surprisal in the end",
    "position": "position",
}
_WHAT = {
    "frequency": "tokens by how often the reference corpus has them",
    "pos": "tokens by the part of speech of their word; function words are its closed classes, content words its open "
    "ones",
    "previous_pos": "tokens by the part of speech of the word before theirs",
    "final_surprisal": "tokens by the surprisal that they have at the last step (mean over seeds)",
    "position": "tokens by their position in the window",
}
TWO_SEEDS = "KL between seeds needs two seeds or more of one size, captured with outputs at the same step."
NOT_COMPARED = "Steps and sizes were not compared: phasescope compare RUN does it, or a capture with --compare."
NO_BYTES = "Next bytes were not kept, by which models of other tokenizers can be compared: capture with --next-byte."


def seeds_parts(run: RunLike, read: Tables) -> list[Part]:
    """Per size the references and groups of tokens; then steps, sizes and next bytes.

    read: what the report has read already.
    """
    try:
        names = ("references", "seeds_by", "seeds_by_contrasts", "kl_across", "next_byte")
        tables = {name: run.table(name) for name in names}
        tables |= {"seeds": read["seeds"], "reference_turns": read["reference_turns"]}
    except PhasescopeError as error:
        return [Part("references", "From uniform to unigram, and apart", "", notes=[str(error)])]
    return [
        _references(run, tables),
        *(_groups(size, tables) for size in run.sizes),
        _across(run, tables["kl_across"]),
        _next_byte(run, tables["next_byte"]),
    ]


def contrast_sentences(contrasts: pd.DataFrame, size: str) -> list[str]:
    """Which of two groups of tokens seeds agree about more at the end, where the interval says so."""
    told = []
    for row in tidy.of(contrasts, size=size, measure="last_kl").to_dict("records"):
        if row["low"] > 0 or row["high"] < 0:
            less = "less" if row["difference"] < 0 else "more"
            told.append(
                f"At the last step seeds are {less} apart about {_tokens(row['group'])} than about "
                f"{_tokens(row['than'])}: KL {row['value']:.2f} and {row['than_value']:.2f}, difference "
                f"{row['difference']:.2f} [{row['low']:.2f}, {row['high']:.2f}]."
            )
    return told


def _tokens(group: str) -> str:
    return f"{group} words" if group in ("function", "content") else f"{group} tokens"


def _references(run: RunLike, tables: dict[str, pd.DataFrame]) -> Part:
    title, key = "From uniform to unigram, and apart", "references"
    intro = "How far models are from knowing nothing (uniform), from word frequencies alone (unigram), from each other."
    references, panels, notes = tables["references"], [], []
    for size in run.sizes:
        here, seeds = tidy.of(references, size=size), tidy.of(tables["seeds"], size=size)
        if here["step"].nunique() < 2:
            notes.append(f"{size} has outputs at fewer than two steps.")
            continue
        turns = tidy.of(tables["reference_turns"], size=size)
        figure = figures.references_figure(here, seeds, turns)
        panels.append(
            Panel(
                f"KL of {size}", _reference_caption(here, seeds, turns), figure, size=size, source="references, seeds"
            )
        )
        notes += [f"{size}: {reason}." for reason in tidy.reasons(here)]
    if tables["seeds"].empty:
        notes.append(TWO_SEEDS)
    return Part(key, title, intro, panels, notes=notes)


def _reference_caption(references: pd.DataFrame, seeds: pd.DataFrame, turns: pd.DataFrame) -> str:
    band = tidy.band(references, "sequences")
    text = (
        f"KL(p ‖ uniform) and KL(p ‖ unigram), {tidy.over_seeds(references)}, "
        f"{int(references['tokens'].max()):,} tokens; band: {band}."
    )
    if len(seeds):
        text += f" Between seeds: mean over ordered pairs, band: {tidy.level(seeds)} bootstrap interval over sequences."
    if len(turns) and bool(turns["turns"].iloc[0]):
        text += f" Star: where the KL to the unigram is lowest, its bar the {tidy.level(turns)} interval."
    return text


def _groups(size: str, tables: dict[str, pd.DataFrame]) -> Part:
    title, key = f"Which tokens the seeds of {size} agree about", f"groups-{size}"
    intro = "KL between seeds, apart for groups of tokens: what is lower is said more alike by all seeds."
    table = tidy.of(tables["seeds_by"], size=size)
    if table["step"].nunique() < 2:
        return Part(key, title, intro, notes=[TWO_SEEDS])
    panels = []
    for by in dict.fromkeys(table["by"]):
        if figures.drawn_groups(table, by):
            caption = _group_caption(tidy.of(table, by=by), by, figures.drawn_groups(table, by))
            panels.append(Panel(f"By {BY_NAMES[by]}", caption, figures.groups_figure(table, by), source="seeds_by"))
    found = " ".join(contrast_sentences(tables["seeds_by_contrasts"], size))
    return Part(key, title, f"{intro} {found}".rstrip(), panels)


def _group_caption(table: pd.DataFrame, by: str, groups: list[str]) -> str:
    last = table[table["step"] == table["step"].max()].set_index("group")["tokens"]
    counts = tidy.listing([f"{name} {int(last[name]):,}" for name in groups], at_most=8)
    return (
        f"KL(p_i ‖ p_j) of {_WHAT[by]}, mean over ordered pairs of seeds; tokens: {counts}; band: {tidy.level(table)} "
        "bootstrap interval over sequences."
    )


def _across(run: RunLike, table: pd.DataFrame) -> Part:
    title, key = "Across steps and sizes", "across"
    intro = "How far a model is from what it will be, from what it just was, and from other sizes at the same step."
    if table.empty:
        return Part(key, title, intro, notes=[NOT_COMPARED])
    panels = []
    for size in run.sizes:
        here = tidy.of(table[table["relation"] != "size"], size=size)
        if here["step"].nunique() > 1:
            caption = f"KL(p at the step ‖ p at the other), {_measured(here)}"
            panels.append(
                Panel(f"Steps of {size}", caption, figures.across_figure(here), size=size, source="kl_across")
            )
    between = tidy.of(table, relation="size")
    if between["step"].nunique() > 1:
        pairs = list(dict.fromkeys(between[["size", "other_size"]].itertuples(index=False, name=None)))
        first, second = pairs[0] if len(pairs) == 1 else ("the first size", "the second")
        caption = f"KL(p of {first} ‖ p of {second}) at the same step, same seed, {_measured(between)}"
        panels.append(Panel("Between sizes", caption, figures.sizes_apart_figure(between), source="kl_across"))
    return Part(key, title, intro, panels, notes=[] if panels else ["Only one step was compared."])


def _measured(table: pd.DataFrame) -> str:
    band = tidy.band(table, "sequences")
    return f"{tidy.over_seeds(table)}; {int(table['tokens'].max()):,} tokens; band: {band}."


def _next_byte(run: RunLike, table: pd.DataFrame) -> Part:
    title, key = "The next byte", "next-byte"
    intro = (
        "What models say of the next byte of the text, in which also models of different tokenizers can be compared."
    )
    absent, uncompared = (str(table.attrs.get(name) or "") for name in ("absent", "uncompared"))
    known = table[table["kl"] < float("inf")]
    if known["step"].nunique() < 2:
        return Part(key, title, intro, notes=[uncompared or (absent if len(table) else NO_BYTES)])
    caption = (
        f"KL of the distributions of the next byte, mean over pairs of models and positions "
        f"({int(known['positions'].min()):,} to {int(known['positions'].max()):,}); band: {tidy.level(known)} "
        "bootstrap interval over sequences. It is a lower bound of the KL of what the models say of the text."
    )
    figure = figures.next_byte_figure(known, run.sizes)
    return Part(
        key,
        title,
        intro,
        [Panel("KL of the next byte", caption, figure, source="next_byte")],
        notes=[absent] if absent else [],
    )
