"""Seeds whose training was captured less far than that of others are left out of what is said of several."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import phasescope as ps
from phasescope.analyses.link.curves import kl_curves, per_seed
from phasescope.analyses.link.first_fifth import first_fifth
from phasescope.analyses.link.lags import link_lags
from phasescope.analyses.link.shares import link_shares, sites_of
from phasescope.analyses.options import Options
from phasescope.analyses.seed_ends import last_steps, left_out, pooled, pooled_seeds
from tests.analyses.test_link import convergence_of, phases_table, resamples_of, settling_of, surprisal_of

OPTIONS = Options(resamples=50)
SAID = "seed 3 left out, which ends at step 4"


def test_seeds_that_end_before_others_of_their_size_are_left_out() -> None:
    ends = {("1m", 1): 8, ("1m", 2): 8, ("1m", 3): 4, ("2m", 1): 4, ("2m", 2): 4}
    steps = (0, 1, 2, 4, 8)
    rows = [(size, seed, step) for (size, seed), end in ends.items() for step in steps if step <= end]
    table = pd.DataFrame(rows, columns=["size", "seed", "step"])
    one = table[table["size"] == "1m"]
    assert last_steps(one) == {1: 8, 2: 8, 3: 4}
    assert (left_out(one), left_out(table)) == (SAID, f"{SAID} (of 1m)")
    kept = pooled(table)
    assert set(zip(kept["size"], kept["seed"], strict=True)) == set(ends) - {("1m", 3)}
    assert (pooled_seeds(one), pooled_seeds(table[table["seed"] == 3])) == (2, 1)
    whole = table[table["size"] == "2m"]
    assert left_out(whole) == ""
    assert pooled(whole) is whole
    assert left_out(table.iloc[:0]) == ""


def test_the_first_fifth_and_shares_are_of_seeds_that_go_to_the_end() -> None:
    cka = np.array([[0.0] * 6 + [0.4] * 3 + [1.0] * 3, [0.0] * 6 + [0.6] * 3 + [1.0] * 3, [0.0] * 6 + [1.0] * 6])
    convergence = convergence_of({("1m", 0, "mlp_out"): cka})
    long = convergence["step"] > 128
    convergence = convergence[~(long & (convergence["seed"] == 3))]
    phases = phases_table(("kl", "1m", None, 0, 0, 16, "flat"), ("kl", "1m", None, 1, 16, 1000, "falling"))
    table = link_shares(sites_of(convergence), resamples_of(convergence), phases, OPTIONS)
    over = table[table["seed"].isna()]
    assert (over["seeds"] == 2).all()
    assert set(over["left_out"]) == {"seed 3 left out, which ends at step 128"}
    assert set(table["seed"].dropna()) == {1, 2, 3}  # its own rows it keeps
    assert set(table.loc[table["seed"].notna(), "left_out"]) == {""}

    settled = settling_of({("1m", seed, 0, "mlp_out"): 100 if seed != 2 else 600 for seed in (1, 2, 3)})
    short = settled["seed"] == 3
    settled.loc[short, ["last_step", "settling_fraction"]] = [128, 100 / 128]
    row = first_fifth(settled, convergence, OPTIONS).iloc[0]
    assert (row["share"], row["seeds"], row["left_out"]) == (0.5, 2, "seed 3 left out, which ends at step 128")


def test_curves_and_lags_do_not_end_with_the_shortest_seed() -> None:
    steps = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    values = np.random.default_rng(0).normal(size=(4, len(steps)))
    surprisal = surprisal_of(values)
    short = (surprisal["seed"] == 4) & (surprisal["step"] > 16)
    (curve,) = per_seed(surprisal[~short], "surprisal", "1m", "surprisal")
    assert (curve.seeds, curve.steps) == ([1, 2, 3], list(steps))
    convergence = convergence_of({("1m", 0, "mlp_out"): np.linspace(0, 1, len(steps)) + 0.01 * values})
    cut = (convergence["seed"] == 4) & (convergence["step"] > 16)
    row = link_lags(sites_of(convergence[~cut]), [curve], OPTIONS).iloc[0]
    assert (row["seeds"], row["steps"], row["left_out"]) == (3, 12, "seed 4 left out, which ends at step 16")
    pairs = pd.DataFrame(
        [("1m", step, p, q, 1.0) for p in (1, 2, 3) for q in (1, 2, 3) for step in (0, 4, 8)
         if p != q and (step < 8 or 3 not in (p, q))],
        columns=["size", "step", "seed_p", "seed_q", "kl"],
    )  # fmt: skip
    (kl,) = kl_curves(pairs, "1m")
    assert (kl.seeds, kl.steps) == ([1, 2], [0, 4, 8])


@pytest.fixture(scope="module")
def cut_short(suite_folder: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    """A real run of a suite of which one seed of one size ends at step 4 of 16."""
    root = tmp_path_factory.mktemp("short")
    suite = shutil.copytree(suite_folder, root / "toy")
    shutil.rmtree(suite / "small" / "seed2" / "step16")
    return ps.capture(suite, texts=texts_file, out=root / "run", sequences=12, context=32, output_sequences=4)


def test_a_run_tells_which_seed_was_left_out_beside_the_number(cut_short: ps.Run) -> None:
    from phasescope.reports import findings

    said = {(one.topic, one.size): one.sentence for one in findings(cut_short)}
    told = "one seed, its bootstrap interval in brackets; seed 2 left out, which ends at step 4"
    assert told in said["settling", "small"]
    assert "left out" not in said["settling", "tiny"]
    assert "seed 2 left out" in said["surprisal", "small"]
    assert "seed 2 left out" in said["rank", "small"]
    # Its own rows are kept, against its own end.
    own = cut_short.settling()
    assert set(own.loc[(own["size"] == "small") & (own["seed"] == 2), "last_step"]) == {4}
    report = cut_short.report().read_text(encoding="utf-8")
    assert "seed 2 (ends at step 4)" in report
    assert "median of 2 seeds, their range in brackets" in report  # of the other size
