from __future__ import annotations

import re

import pytest

from phasescope.reports.kit import theme
from phasescope.reports.link.figures import PHASE_COLOURS


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of WCAG 2."""
    shares = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def from_hex(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def from_rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = map(int, re.findall(r"\d+", colour))
    return red, green, blue


BACKGROUNDS = [(255, 255, 255), (24, 28, 34)]


# Thick lines and marks of Okabe & Ito's lightest colours have about 2.2 on white; text is not drawn in them.
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_colour_reads_on_white_and_on_black(background: tuple[int, int, int]) -> None:
    depths = [from_rgb(theme.depth_colour(layer, 24)) for layer in range(24)]
    for colour in [*map(from_hex, theme.QUALITATIVE), *depths]:
        assert contrast(colour, background) >= 2.2


def test_nine_seeds_look_different() -> None:
    looks = theme.styles(range(9))
    assert len({(look.colour, look.symbol) for look in looks.values()}) == 9
    assert len({(look.colour, look.dash) for look in looks.values()}) == 9


def test_depth_runs_from_the_first_layer_to_the_last() -> None:
    colours = [theme.depth_colour(layer, 12) for layer in range(12)]
    assert len(set(colours)) == 12
    assert colours[0] == "rgb(44, 112, 190)"
    assert colours[-1] == "rgb(222, 105, 36)"
    assert theme.depth_colour(0, 1) == colours[0]


def test_names_cannot_be_tags_in_a_label() -> None:
    assert theme.plain("<b>14m</b> & co") == "&lt;b&gt;14m&lt;/b&gt; &amp; co"


@pytest.mark.parametrize("colour", [*PHASE_COLOURS, "#ffffff", "#000000"])
def test_ink_is_read_on_every_colour_of_a_bar(colour: str) -> None:
    """4.5 to 1 is what WCAG 2 asks of small letters."""
    ink, other = theme.ink_on(colour), {"#000000": "#ffffff", "#ffffff": "#000000"}[theme.ink_on(colour)]
    assert contrast(from_hex(ink), from_hex(colour)) >= max(4.5, contrast(from_hex(other), from_hex(colour)))
