"""Captions: what is seen, of how many, and what the interval is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import left_out, pooled_seeds
from phasescope.console import counted
from phasescope.reports import steps_axis, tidy
from phasescope.reports.figures.rank import MOST_IN_LEGEND

if TYPE_CHECKING:
    import pandas as pd

_SAMPLED = "sampled positions"
WHAT = {
    "resid_pre": "the residual stream entering the layer",
    "resid_mid": "the residual stream between attention and MLP",
    "resid_post": "the residual stream leaving the layer",
    "attn_out": "the output of the attention block",
    "mlp_out": "the output of the MLP",
    "ov_out": "what the heads write for the token itself (its values through W_O)",
    "z": "the heads' mixed values, before W_O",
    "pattern": "the attention pattern of the sampled query",
    "sink": "what the sampled query gives to each head's sink instead of to positions",
    "mlp_post": "the MLP's hidden units after the activation function",
    "router": "the router's probabilities of all experts",
    "routed": "the weights of the chosen experts",
    "mixer_out": "the output of the mixer",
    "W_in": "the MLP's input matrix",
    "W_gate": "the MLP's gate matrix",
    "W_out": "the MLP's output matrix",
    "W_router": "the router's matrix",
    "experts.W_in": "the input matrix of each expert",
    "experts.W_gate": "the gate matrix of each expert",
    "experts.W_out": "the output matrix of each expert",
    "shared.W_in": "the input matrix of the expert that all tokens share",
    "shared.W_gate": "the gate matrix of the expert that all tokens share",
    "shared.W_out": "the output matrix of the expert that all tokens share",
    "OV": "each head's value–output circuit W_V W_O",
    "QK": "each head's query–key circuit W_Q W_Kᵀ",
    "W_Q": "the query matrix",
    "W_K": "the key matrix",
    "W_V": "the value matrix",
    "W_O": "the attention output matrix",
    "W_R": "the receptance matrix of time mixing",
    "in_proj": "the mixer's input projection",
    "x_proj": "the mixer's projection to step size, B and C",
    "dt_proj": "the mixer's projection of the step size",
    "out_proj": "the mixer's output projection",
}


UNMOVED = (
    "Open: no settling was seen, since CKA was not surely below τ at the first step, or texts that do not match reach "
    "τ too."
)
"""What stands beside settling steps that mean nothing, wherever they are drawn."""


_CHANCE = " Left, chance: the most biased CKA that texts which do not match give at any step."


def heatmap(table: pd.DataFrame, component: str, *, tau: float, marked: bool) -> str:
    """Of a heat map by layer; `table` holds the rows of the component."""
    text = f"{_describe(component)}: linear CKA with the same layer's activations at the last step. "
    text += f"Shown first: biased estimator, {tidy.over_seeds(table)}; {_samples(table)}."
    if tidy.whole(table).empty:
        text += " Median over heads."
    if marked:
        text += f" Ring: the settling step (biased CKA stays at {tau:g} or more from there on); no ring, no settling."
    return text + _CHANCE + _drawn(table["step"]) + _holes(table)


def head_map(table: pd.DataFrame, component: str) -> str:
    """Of a heat map by head."""
    heads = table.groupby("layer")["head"].nunique().max()
    text = (
        f"{_describe(component)}, head by head ({heads} per layer, the first lowest): linear CKA of each head's part "
    )
    text += f"with the same head's at the last step; {tidy.over_seeds(table)}; {_samples(table)}."
    return text + _CHANCE + _drawn(table["step"]) + _holes(table)


def settling(table: pd.DataFrame, component: str) -> str:
    """Of the dots of settling steps; `table` holds the rows of the component."""
    seeds = table["seed"].nunique()
    text = f"{_describe(component)}: the first step from which biased CKA to the final state stays at τ or more. "
    text += f"A dot per seed ({seeds}), its line the {tidy.level(table)} bootstrap interval over sequences"
    text += f", the bar the {tidy.over_seeds(table)}." if seeds > 1 else "."
    whole = tidy.whole(table)
    if whole["settling_step"].isna().any():
        text += " Triangles under “never” did not settle before the last step of their seed."
    if not whole["moved"].all():
        text += f" {UNMOVED}"
    return text


def depth(table: pd.DataFrame, component: str) -> str:
    """Of settling steps by depth, sizes compared."""
    count = _pooled(table)
    text = (
        f"{_describe(component)}: median settling step over seeds ({count}) against relative depth; band: range over "
    )
    text += f"seeds ({tidy.level(table)} bootstrap interval where there is one seed)."
    return text + (
        "" if table["moved"].all() else " Layers that did not move, as the settling of each size tells, are not drawn."
    )


def rank(table: pd.DataFrame, component: str, kind: str) -> str:
    """Of rank curves; `table` holds the rows of the component."""
    over_heads = "heads and " if tidy.whole(table).empty and len(table) else ""
    seeds = pooled_seeds(table)
    count = (f"{seeds} seeds" if seeds > 1 else "one seed") + (f" ({told})" if (told := left_out(table)) else "")
    middle = f"median over {over_heads}{count}" if over_heads or seeds > 1 else count
    largest = tidy.integers(table["largest"]) if "largest" in table else []
    room = f", {largest[-1]}" if largest else ""
    measured = "activations with their columns centred" if kind == "activation" else "exact, so without an interval"
    return (
        f"{_describe(component)}: effective rank (exp of the entropy of the normalised singular values) as a share of "
        f"the largest possible{room}; {middle}; {measured}.{_drawn(table['step'])}"
    )


def surprisal(table: pd.DataFrame) -> str:
    """Of surprisal curves of one size."""
    return (
        f"Mean of −ln p(token | context) over {_tokens(table)}, one curve per seed ({table['seed'].nunique()}); band: "
        f"{tidy.level(table)} bootstrap interval over sequences. Dashed: the same tokens under token frequencies alone."
        + _drawn(table["step"])
    )


def sizes(table: pd.DataFrame) -> str:
    """Of surprisal curves of all sizes."""
    count = _pooled(table)
    return (
        f"Mean of −ln p(token | context) over {_tokens(table)}; median over seeds ({count}); band: range over seeds "
        f"({tidy.level(table)} bootstrap interval where there is one seed). Dashed: the same tokens under "
        "token frequencies alone." + _drawn(table["step"])
    )


def kl(table: pd.DataFrame) -> str:
    """Of KL between seeds."""
    seeds = _per_size({str(size): int(rows["seeds"].max()) for size, rows in table.groupby("size", sort=False)})
    return (
        f"KL(p_i ‖ p_j) of next-token distributions, mean over ordered pairs of seeds i ≠ j ({seeds}) "
        f"and {_tokens(table)}; band: {tidy.level(table)} bootstrap interval over sequences.{_drawn(table['step'])}"
    )


def gradient_norm(table: pd.DataFrame) -> str:
    """Of the norm of the whole gradient."""
    return (
        f"Frobenius norm of a batch's gradient of the next-token loss by all parameters, {_batches(table)}, one curve "
        f"per seed ({table['seed'].nunique()}); band: {tidy.level(table)} bootstrap interval over batches."
        + _drawn(table["step"])
    )


def gradients(table: pd.DataFrame, value: str) -> str:
    """Of what gradients of single matrices are like, layer by layer."""
    what, interval = {
        "ratio": (f"Frobenius norm of a batch's gradient over that of the matrix, {_batches(table)}", "batches"),
        "proportional": ("Effective rank of the mean gradient of all batches, as a share of the largest possible", ""),
        "cosine": ("Cosine of a batch's gradient with that of the batch before, mean over pairs", "pairs of batches"),
        "cosine_previous": ("Cosine of the mean gradient with that of the checkpoint before", ""),
    }[value]
    text = f"{what}; a curve per layer, the median over heads where these are measured one by one; "
    text += tidy.over_seeds(table)
    if table["layer"].nunique() > MOST_IN_LEGEND:
        text += "."
    elif pooled_seeds(table) > 1:
        text += "; band: the range of seeds."
    else:
        text += f"; band: {tidy.level(table)} bootstrap interval over {interval}." if interval else "."
    if value == "cosine_previous" and table["cosine_previous_error"].max() > 0:
        text += f" Told from sketches, to ± {table['cosine_previous_error'].max():.3f}; circuits have none."
    return text + _drawn(table["step"])


def _batches(table: pd.DataFrame) -> str:
    most, least = int(table["batches"].max()), int(table["batches"].min())
    return f"mean over {counted(most, 'batch', 'batches')}" if most == least else f"mean over {least} to {most} batches"


def _pooled(table: pd.DataFrame) -> str:
    """`3 seeds`, or how many each size has; and which are left out."""
    counts = {str(size): pooled_seeds(rows) for size, rows in table.groupby("size", sort=False)}
    return _per_size(counts) + (f"; {told}" if (told := left_out(table)) else "")


def _per_size(counts: dict[str, int]) -> str:
    """`3 seeds`, or how many each size has."""
    numbers = set(counts.values())
    if len(numbers) == 1:
        return f"{numbers.pop()} seeds of each size" if len(counts) > 1 else f"{numbers.pop()} seeds"
    return "seeds: " + tidy.listing([f"{number} of {size}" for size, number in counts.items()])


def _describe(component: str) -> str:
    what = WHAT.get(component, component)
    return what[0].upper() + what[1:]


def _samples(table: pd.DataFrame) -> str:
    if "samples" not in table or table["samples"].dropna().empty:
        return _SAMPLED
    return f"n = {int(table['samples'].max())} {_SAMPLED}"


def _tokens(table: pd.DataFrame) -> str:
    return f"{counted(int(table['tokens'].max()), 'token')} in {counted(int(table['sequences'].max()), 'sequence')}"


def _drawn(steps: pd.Series[int]) -> str:
    present = tidy.integers(steps)
    drawn = len(steps_axis.thin(present)) if present else 0
    return f" {drawn} of {len(present)} steps are drawn." if drawn < len(present) else ""


def _holes(table: pd.DataFrame) -> str:
    if table["cka"].notna().all():
        return ""
    why = tidy.listing(tidy.reasons(table), at_most=2)
    return " Empty cells have no CKA" + (f": {why}." if why else ".")
