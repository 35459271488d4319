"""Tables of the lens, of planted readings."""

from __future__ import annotations

import numpy as np
import pytest

from phasescope.analyses import Options
from phasescope.analyses.lens.columns import ATTRIBUTION, DEPTH, LENS
from phasescope.analyses.lens.rows import attribution_rows, depth_rows, lens_rows
from phasescope.analyses.lens.seen import Look
from phasescope.analyses.reader import as_table
from phasescope.hooks import Site
from phasescope.store import ShardKey
from phasescope.texts.items.items import LENS_SCORES

OPTIONS = Options(resamples=200)
LAYERS = 3


def planted(step: int = 8, seed: int = 0, *, embedding: bool = True, sequences: int = 16, each: int = 4) -> Look:
    """Readings whose KL goes down by layer, with much that differs between sequences."""
    random = np.random.default_rng([seed, step])
    places = [Site(0, "resid_pre")] * embedding + [Site(layer, "resid_post") for layer in range(LAYERS)]
    shape = (len(places), sequences, each)
    own = 1 + 0.3 * random.standard_normal((1, sequences, 1))
    falling = np.linspace(2, 0, len(places))[:, None, None]
    scores = {name: (falling * own + 0.1 * random.random(shape)).astype(np.float32) for name in LENS_SCORES}
    scores["rank"] = random.integers(1, 50, shape).astype(np.float32)
    scores["rank_shuffled"] = random.integers(100, 150, shape).astype(np.float32)
    for name in ("agrees", "agrees_shuffled"):
        scores[name] = (random.random(shape) < 0.5).astype(np.float32)
    scores["agrees"][-1] = 1
    names = ["blocks.0.hook_resid_pre", "blocks.0.hook_attn_out", "blocks.1.hook_mlp_out", "rest", "bias"]
    parts = {name: random.standard_normal((2, sequences, each)).astype(np.float32) for name in names}
    return Look(ShardKey("1m", seed, step), "logit", places, scores, parts)


def test_means_intervals_and_chance() -> None:
    look = planted()
    table = as_table(list(lens_rows(look, OPTIONS)), LENS)
    assert table["layer"].unique().tolist() == [-1, 0, 1, 2]
    kl = table[table["score"] == "kl"]
    np.testing.assert_allclose(kl["value"], look.scores["kl"].mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(kl["shuffled"], look.scores["kl_shuffled"].mean((1, 2)), rtol=1e-6)
    rank = table[table["score"] == "rank"]
    np.testing.assert_allclose(rank["value"], np.exp(np.log(look.scores["rank"]).mean((1, 2))), rtol=1e-5)
    probability = table[table["score"] == "probability"]
    np.testing.assert_allclose(probability["value"], np.exp(-look.scores["surprisal"]).mean((1, 2)), rtol=1e-5)
    assert (table["low"] <= table["value"] + 1e-9).all()
    assert (table["value"] <= table["high"] + 1e-9).all()
    assert table.loc[table["score"] == "entropy", "shuffled"].isna().all()
    assert table.loc[table["score"] != "entropy", "shuffled"].notna().all()


@pytest.mark.parametrize("embedding", [True, False])
def test_depth_counts_layers(embedding: bool) -> None:
    look = planted(embedding=embedding)
    [row] = as_table(list(depth_rows(look, OPTIONS)), DEPTH).to_dict("records")
    agrees = look.scores["agrees"].reshape(len(look.places), -1)
    first = 0 if embedding else 1  # without a place before the first layer, one layer is read at least
    by_hand = [next(depth for depth in range(9) if column[depth:].all()) + first for column in agrees.T]
    assert row["depth"] == pytest.approx(np.mean(by_hand))
    assert row["layers"] == LAYERS
    assert row["depth"] < row["shuffled"] <= LAYERS + 1
    assert row["kl"] == pytest.approx(look.scores["kl"][:-1].mean(), rel=1e-6)


def test_parts_stand_in_the_order_of_the_network() -> None:
    look = planted()
    table = as_table(list(attribution_rows(look, OPTIONS)), ATTRIBUTION)
    assert table["part"].tolist() == ["embedding", "L0.attn_out", "L1.mlp_out", "bias", "rest"]
    assert table["layer"].isna().tolist() == [True, False, False, True, True]
    np.testing.assert_allclose(table["value"].iloc[2], look.parts["blocks.1.hook_mlp_out"][0].mean(), rtol=1e-5)
    np.testing.assert_allclose(table["shuffled"].iloc[2], look.parts["blocks.1.hook_mlp_out"][1].mean(), rtol=1e-5)


def test_one_sequence_has_no_interval() -> None:
    look = planted(sequences=1)
    assert as_table(list(lens_rows(look, OPTIONS)), LENS)["low"].isna().all()
    assert as_table(list(depth_rows(look, OPTIONS)), DEPTH)["low"].isna().all()


def test_intervals_cover_what_other_sequences_would_have_shown() -> None:
    """Of 60 draws of 16 sequences: 95 % hold the truth, less some for so few sequences."""
    held = 0
    for seed in range(60):
        rows = as_table(list(lens_rows(planted(seed=seed), OPTIONS)), LENS)
        row = rows[(rows["score"] == "kl") & (rows["layer"] == 0)].iloc[0]
        held += row["low"] <= 2 * 2 / 3 + 0.05 <= row["high"]
    assert 48 <= held <= 60
