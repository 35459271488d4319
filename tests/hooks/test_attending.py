"""Windows and positions: what is said of a layer is what its attention does."""

from __future__ import annotations

import pytest
import torch

from phasescope.hooks import Site, get_engine
from tests.hooks import zoo

ATTENDING = [
    name
    for name in zoo.MODELS
    if name not in ("Mamba", "Mamba 2", "RWKV", "xLSTM")  # they have no attention
]
# What comes before their attention tells positions apart: a recurrence, or embeddings of positions.
TOLD_BEFORE = ("Jamba", "Bamba", "LFM2", "OLMo Hybrid", "Qwen3-Next", "Qwen3.5", "Qwen3.5, experts", "Nemotron-H")


def visible(told: str, context: int, *, both_sides: bool) -> torch.Tensor:
    """Which keys a query sees, `[query, key]`, by what is said of the layer."""
    kind, _, size = told.partition(":")
    query, key = torch.arange(context)[:, None], torch.arange(context)
    if both_sides:
        return (query - key).abs() <= (int(size) // 2 if size else context)
    causal = key <= query
    if kind == "sliding":
        return causal & (query - key < int(size))
    return causal & (query // int(size) == key // int(size)) if kind == "chunked" else causal


@pytest.mark.parametrize("name", ATTENDING)
def test_patterns_end_where_the_window_does(name: str) -> None:
    tapped = get_engine("torch").open(zoo.make(name))
    tokens, _ = zoo.batch()
    positions = torch.arange(tokens.shape[1]).expand(len(tokens), -1)
    sites = tapped.architecture.select(["pattern"], tapped.n_layers)
    for site, pattern in tapped.read(tokens, positions, sites).activations.items():
        told = tapped.architecture.attends(tapped.model.config, site.layer)["attention"]
        seen = (pattern > 0).any(1).unflatten(0, tokens.shape)
        wanted = visible(told, tokens.shape[1], both_sides=tapped.architecture.masked)
        assert torch.equal(seen.any(0), wanted), (site, told)


@pytest.mark.parametrize("name", [name for name in ATTENDING if name not in TOLD_BEFORE])
def test_without_positions_equal_tokens_are_attended_to_equally(name: str) -> None:
    """Of one token repeated, scores differ only by position, in every layer as long as none before tells them apart."""
    tapped = get_engine("torch").open(zoo.make(name))
    tokens = torch.full((1, 11), 5)
    positions = torch.arange(11)[None]
    for site in tapped.architecture.select(["pattern"], tapped.n_layers):
        told = tapped.architecture.attends(tapped.model.config, site.layer)["positions"]
        pattern = tapped.read(tokens, positions, [site]).activations[site]
        some = pattern.where(pattern > 0, torch.nan)
        spread = float((some.nan_to_num(-1).amax(-1) - some.nan_to_num(2).amin(-1)).max())
        assert (spread < 1e-5) == (told == "none"), (site, told, spread)
        if told == "learned":
            # Without its embeddings of positions nothing tells them apart.
            return


def test_layers_that_attend_say_so_and_others_do_not() -> None:
    tapped = get_engine("torch").open(zoo.make("LFM2"))
    config, entry = tapped.model.config, tapped.architecture
    assert entry.attends(config, 0) == {}
    assert entry.attends(config, 1) == {"attention": "full", "positions": "rotary"}
    assert Site(0, "pattern") not in entry.select(["pattern"], 2)
