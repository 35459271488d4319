from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.errors import PhasescopeError
from phasescope.hooks import COMPONENTS, Site, select_sites


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("resid_pre", "blocks.3.hook_resid_pre"),
        ("resid_mid", "blocks.3.hook_resid_mid"),
        ("resid_post", "blocks.3.hook_resid_post"),
        ("attn_out", "blocks.3.hook_attn_out"),
        ("mlp_out", "blocks.3.hook_mlp_out"),
        ("z", "blocks.3.attn.hook_z"),
        ("pattern", "blocks.3.attn.hook_pattern"),
        ("mlp_post", "blocks.3.mlp.hook_post"),
        ("ov_out", "blocks.3.attn.hook_ov_out"),
    ],
)
def test_sites_are_named_as_transformer_lens_names_them(component: str, name: str) -> None:
    assert Site(3, component).name == name


@given(st.integers(0, 999), st.sampled_from(list(COMPONENTS)))
def test_names_can_be_read_back(layer: int, component: str) -> None:
    site = Site(layer, component)
    assert Site.parse(site.name) == Site.parse(site.short) == site
    assert str(site) == site.short


def test_a_site_knows_the_axes_of_a_sample() -> None:
    assert Site(0, "ov_out").shape == ("heads", "d_model")
    assert Site(0, "mlp_post").shape == ("d_mlp",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("L3.mlp_uot", "Did you mean L3.mlp_out"),
        ("blocks.3.hook_atn_out", "Did you mean blocks.3.hook_attn_out"),
        ("blocks.3.mlp_out", "blocks.3.hook_mlp_out"),
        ("3.mlp_out", "is not a site"),
        ("L-1.mlp_out", "is not a site"),
        ("L٣.mlp_out", "is not a site"),
        ("", "is not a site"),
    ],
)
def test_names_that_are_none_are_refused_with_a_remedy(text: str, told: str) -> None:
    with pytest.raises(PhasescopeError, match=told):
        Site.parse(text)


def test_impossible_sites_cannot_be_made() -> None:
    with pytest.raises(PhasescopeError, match="Did you mean resid_post"):
        Site(0, "resid_pst")
    with pytest.raises(PhasescopeError, match="counted from 0"):
        Site(-1, "z")


def test_a_component_selects_every_layer_and_a_site_only_itself() -> None:
    chosen = select_sites(["mlp_out", "L1.z", "blocks.0.hook_resid_pre", "L1.mlp_out"], layers=2)
    assert [site.short for site in chosen] == ["L0.resid_pre", "L0.mlp_out", "L1.z", "L1.mlp_out"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["attn_uot"], "Did you mean attn_out"),
        (["mlp_out", "L0.zz"], "There is no site 'L0.zz'"),
        (["L6.mlp_out"], "no layer 6 .* of 6 layers. The nearest is 5"),
        ([], "No sites are selected"),
    ],
)
def test_a_selection_with_a_mistake_is_refused_with_a_remedy(wanted: list[str], told: str) -> None:
    with pytest.raises(PhasescopeError, match=told):
        select_sites(wanted, layers=6)
