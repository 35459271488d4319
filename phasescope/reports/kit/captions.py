"""Captions: what is seen, of how many, and what the interval is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import left_out, pooled_seeds
from phasescope.console import counted
from phasescope.reports.kit import steps_axis, tidy

if TYPE_CHECKING:
    import pandas as pd

SAMPLED = "sampled positions"
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
    "expert_out": "what each of the experts chosen writes, before its weight",
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


def seeds_of_each(table: pd.DataFrame) -> str:
    """`3 seeds`, or how many each size has; and which are left out."""
    counts = {str(size): pooled_seeds(rows) for size, rows in table.groupby("size", sort=False)}
    return per_size(counts) + (f"; {told}" if (told := left_out(table)) else "")


def per_size(counts: dict[str, int]) -> str:
    """`3 seeds`, or how many each size has."""
    numbers = set(counts.values())
    if len(numbers) == 1:
        return f"{numbers.pop()} seeds of each size" if len(counts) > 1 else f"{numbers.pop()} seeds"
    return "seeds: " + tidy.listing([f"{number} of {size}" for size, number in counts.items()])


def parts_of(component: str) -> str:
    """What the numbers in the column `head` count: heads, or of the weights of experts these."""
    return "experts" if component.startswith("experts.") else "heads"


def described(component: str) -> str:
    what = WHAT.get(component, component)
    return what[0].upper() + what[1:]


def samples(table: pd.DataFrame) -> str:
    if "samples" not in table or table["samples"].dropna().empty:
        return SAMPLED
    return f"n = {int(table['samples'].max())} {SAMPLED}"


def tokens(table: pd.DataFrame) -> str:
    return f"{counted(int(table['tokens'].max()), 'token')} in {counted(int(table['sequences'].max()), 'sequence')}"


def drawn(steps: pd.Series[int]) -> str:
    present = tidy.integers(steps)
    drawn = len(steps_axis.thin(present)) if present else 0
    return f" {drawn} of {len(present)} steps are drawn." if drawn < len(present) else ""
