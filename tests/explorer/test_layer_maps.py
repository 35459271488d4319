"""The panel of layers by layers: what it draws of any two checkpoints, and what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.explorer import layer_maps
from phasescope.explorer.choice import Choice
from phasescope.explorer.layer_maps import SAME, LayerMaps
from phasescope.explorer.recorded import Recorded
from phasescope.measures import linear_cka

WHOLE = Choice("tiny", "mlp_out", 1, None)


@pytest.fixture(scope="module")
def maps(captured: Path) -> LayerMaps:
    return LayerMaps(Recorded(ps.open_run(captured)))


def test_a_map_is_of_the_two_checkpoints_chosen(maps: LayerMaps, captured: Path) -> None:
    assert maps.others == ["tiny seed 1", "tiny seed 2", "small seed 1", "small seed 2"]
    assert maps.steps == [SAME, "0", "1", "4", "16"]
    figure, says = maps.show(WHOLE, 1, 4, "small seed 2", "16", "cka")
    assert says == "tiny/seed1/step4 beside small/seed2/step16: Linear CKA of mlp_out."
    cells = np.array(figure.data[0]["z"], dtype=float)
    assert cells.shape == (2, 3)
    run = ps.open_run(captured)
    x = run.layer(1, "mlp_out", "tiny").activations(1, 4)
    y = run.layer(2, "mlp_out", "small").activations(2, 16)
    assert cells[1, 2] == pytest.approx(float(linear_cka(x, y)), abs=6e-4)  # drawn to three digits
    figure.plotly()


def test_it_is_beside_itself_until_another_is_chosen_and_near_where_a_step_is_not(maps: LayerMaps) -> None:
    figure, says = maps.show(WHOLE, 2, 4, None, SAME, "rsa")
    assert says == "tiny/seed2/step4 beside itself: RSA (Pearson) of mlp_out."
    np.testing.assert_allclose(np.diag(np.array(figure.data[0]["z"], dtype=float)), 1)
    _, says = maps.show(WHOLE, 2, 4, None, "17", "rsa")
    assert says == "tiny/seed2/step4 beside its step 16: RSA (Pearson) of mlp_out."


def test_too_few_samples_for_cca_are_said_and_unknown_measures_refused(maps: LayerMaps) -> None:
    figure, says = maps.show(WHOLE, 1, 4, None, SAME, "pwcca")
    assert "CCA of 12 dimensions" in str(figure.layout) or "CCA of 1" in str(figure.layout)
    assert says == ""
    with pytest.raises(PhasescopeError, match="no measure of similarity 'sql'"):
        maps.show(WHOLE, 1, 4, None, SAME, "sql")


def test_of_many_samples_some_are_compared(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_maps, "_SAMPLES", 8)
    few = LayerMaps(Recorded(ps.open_run(captured)))
    assert few.show(WHOLE, 1, 4, None, SAME, "cka")[1].endswith("Of 12 samples 8 are compared.")
