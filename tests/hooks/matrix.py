"""Which sites of which architecture each engine reads as the others do: the table in docs/architectures.md.

`python -m tests.hooks.matrix` measures it anew and writes it there.
"""

from __future__ import annotations

from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.hooks import COMPONENTS, ENGINES, Reading, Site, get_engine
from tests.hooks import zoo

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"
BEGIN, END = "<!-- matrix: made by tests/hooks/matrix.py -->\n", "<!-- end of matrix -->\n"
# float32, sums of at most 56 terms, in different order: 1e-6 is usual, 1e-5 is the promise.
TOLERANCE = 1e-5


def difference(got: Reading, wanted: Reading, site: Site | None) -> float:
    """At a site (None: the final hidden states), relative to the largest value there; infinite if shapes differ."""
    a = got.final_hidden if site is None else got.activations[site]
    b = wanted.final_hidden if site is None else wanted.activations[site]
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    return float((a - b).abs().max() / b.abs().max())


def agreeing(name: str, engine: str) -> dict[str, bool]:
    """Of each component that the architecture has, and `final_hidden` and `weights`: whether the engine gives it.

    False where the engine says that it cannot, and names the engine that can. Raises AssertionError where it gives
    something else than the torch engine.
    """
    model, (tokens, positions) = zoo.make(name), zoo.batch()
    reference = get_engine("torch").open(model)
    try:
        tapped = get_engine(engine).open(model)
    except PhasescopeError as error:
        if "'torch'" not in str(error):
            raise
        return dict.fromkeys((*reference.components(), "final_hidden", "weights"), False)
    sites = tapped.architecture.select(tapped.components(), tapped.n_layers)
    wanted = reference.read(tokens, positions, sites, final_hidden=True)
    got = tapped.read(tokens, positions, sites, final_hidden=True)
    for site in (*sites, None):
        assert difference(got, wanted, site) <= TOLERANCE, (name, engine, site)
    weights = tapped.weights()
    assert weights.keys() == reference.weights().keys()
    for weight, value in reference.weights().items():
        assert weights[weight].shape == value.shape, (name, engine, weight)
        assert (weights[weight] == value).all(), (name, engine, weight)
    given = {component: component in tapped.components() for component in reference.components()}
    return {**given, "final_hidden": True, "weights": True}


def table() -> str:
    """The matrix in Markdown: a row for each architecture, a column for each component."""
    columns = [*COMPONENTS, "final_hidden", "weights"]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name in zoo.MODELS:
        found = {engine: agreeing(name, engine) for engine in ENGINES}
        cells = [_cell(column, found) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(column: str, found: dict[str, dict[str, bool]]) -> str:
    engines = [engine for engine, given in found.items() if given.get(column)]
    if column not in found["torch"]:
        return "–"
    return "all" if len(engines) == len(ENGINES) else ", ".join(engines)


def in_page() -> str:
    """The table that the page has."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
