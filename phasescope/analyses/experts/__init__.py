"""How do mixtures of experts use their experts, and when does each token know where to go? (docs/analyses/experts.md)

From the weights of chosen experts (`routed`) at the sampled positions of every checkpoint. Intervals by a bootstrap
over sequences.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from phasescope.analyses.convergence import TAUS
from phasescope.analyses.experts.columns import BY, EXPERTS, LOADS, PAIRS, SEEDS, SETTLING
from phasescope.analyses.experts.compared import by_rows, pair_rows, seed_rows
from phasescope.analyses.experts.routing import Routing, layers_with_experts
from phasescope.analyses.experts.use import Use
from phasescope.analyses.question import Curve, Table, question
from phasescope.analyses.reader import RunReader, as_table
from phasescope.analyses.seeds import GROUPS
from phasescope.analyses.seeds.token_groups import DEFAULT, token_groups
from phasescope.errors import PhasescopeWarning

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options


@question(
    "How do mixtures use their experts, and when does each token know where to go?",
    [
        Table(
            "experts",
            "How evenly a layer uses its experts, and how many of a token's are those of the last step.",
            EXPERTS,
            {"share (`entropy`: nats; `dead`: experts)": "value low high chance"},
            curves=(Curve("value", "experts:agreement in layer {}", "layer", (("measure", "agreement"),), 60),),
        ),
        Table("expert_loads", "The share of choices of every expert.", LOADS, {"share of choices": "load low high"}),
        Table(
            "experts_settling",
            "From when on tokens go to the experts of the last step: agreement stays τ or more.",
            SETTLING,
            {"steps": "settling_step low high last_step", "share of a token's experts": "tau"},
        ),
        Table(
            "experts_by",
            "How far the experts of a group of tokens are from those of all, and the one most its own.",
            BY,
            {"nats": "value low high chance", "share of the group's choices": "expert_share"},
        ),
        Table(
            "expert_pairs",
            "The experts that are chosen together most often, at the last step.",
            PAIRS,
            {"share of tokens": "together by_chance"},
        ),
        Table(
            "expert_seeds",
            "Whether two seeds send tokens to the same experts, once these are matched.",
            SEEDS,
            {"share of a token's experts": "value low high chance"},
        ),
    ],
    options=[TAUS, GROUPS],
    needs="a model that has experts",
    place=125,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `experts`, `expert_loads`, `experts_settling`, `experts_by`, `expert_pairs` and `expert_seeds`."""
    reader.require_shards()
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in ("use", "load", "settles", "by", "pairs", "seeds")}
    layers = {size: layers_with_experts(reader, size) for size in reader.sizes}
    # Of models without experts, whose phases ask for this too, no word is looked up.
    groups = token_groups(reader, options.by or DEFAULT) if any(layers.values()) else None
    for size in reader.sizes:
        for layer in layers[size]:
            read = [found for seed in reader.seeds(size) if (found := Routing.read(reader, size, seed, layer))]
            _tell_dropped(size, layer, read)
            for routing in read:
                use = Use.of(routing, options)
                rows["use"] += use.rows()
                rows["load"] += use.load_rows()
                rows["settles"] += use.settling_rows()
                rows["by"] += by_rows(routing, groups(size) if groups else [], options)
                rows["pairs"] += pair_rows(routing)
            rows["seeds"] += seed_rows(read, options)
    tables = {
        "experts": as_table(rows["use"], EXPERTS),
        "expert_loads": as_table(rows["load"], LOADS),
        "experts_settling": as_table(rows["settles"], SETTLING),
        "experts_by": as_table(rows["by"], BY),
        "expert_pairs": as_table(rows["pairs"], PAIRS),
        "expert_seeds": as_table(rows["seeds"], SEEDS),
    }
    if not rows["use"]:
        for table in tables.values():
            table.attrs["absent"] = (
                "No choices of experts were recorded: capture a model that has experts, with routed among its --sites."
            )
    return tables


def _tell_dropped(size: str, layer: int, read: list[Routing]) -> None:
    """Warn of tokens that a router sends to no expert."""
    dropped = sum(int((~routing.chosen.any(-1)).sum()) for routing in read)
    if dropped:
        share = dropped / sum(routing.chosen[..., 0].size for routing in read)
        warnings.warn(
            f"The router of layer {layer} of {size} sends {share:.2g} of the sampled tokens to no expert: they count "
            "for nothing in what is said of experts.",
            PhasescopeWarning,
            stacklevel=2,
        )
