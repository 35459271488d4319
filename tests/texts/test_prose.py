from __future__ import annotations

import random
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.texts.readers.prose import LEAST_WORDS, is_prose, paragraphs

NUMPYDOC = """
    resolve(a, b, *, axis=-1)

    Resolve the two arrays along the last axis, as if by hand.

    Parameters
    ----------
    a : array_like
        The first array is what will be resolved by this function.
    b : array_like
        The second array.

    Returns
    -------
    resolved : ndarray
        The result of it all is given back to whoever has called.

    See Also
    --------
    dissolve : The opposite of what this function does to the arrays.

    Notes
    -----
    The method is due to Gauss [1]_ and is *stable* when ``a`` is small; see
    :func:`~numpy.linalg.solve` and the `manual <https://example.org>`_ for more.

    .. math:: x = y

    The residual :math:`r` is what remains of the vector when we are done.

    .. versionadded:: 1.4

    ======  ======
    this    is the
    ======  ======
    table   of it
    ======  ======

    References
    ----------
    .. [1] C. F. Gauss, "On the theory of the motion of the heavenly bodies", 1809.

    Examples
    --------
    The following shows how the function is used on two arrays.

    >>> resolve(1, 2)
    The output of this is not a sentence that anyone would read.
"""

GOOGLE = """Turn the handle until the door is open, and then stop at once.

    Args:
        handle (Handle): The handle that is to be turned by this function.
        speed: How fast it is.

    Returns:
        The door that has been opened, if there was one to be opened.

    Example::

        The code in here is not prose even though it reads like some.

    .. note::
        It is an error to turn the handle of a door that is locked.

    .. code-block:: python

        This is code in a block and will not be read by anyone at all.

    :param handle: the thing that is to be turned by this function.
    - Each item of a list that is a whole sentence is kept as one.
    - short item
"""


def test_numpydoc() -> None:
    assert paragraphs(NUMPYDOC) == [
        "Resolve the two arrays along the last axis, as if by hand.",
        "The method is due to Gauss and is stable when a is small; see solve and the manual for more.",
    ]


def test_google_style() -> None:
    assert paragraphs(GOOGLE) == [
        "Turn the handle until the door is open, and then stop at once.",
        "It is an error to turn the handle of a door that is locked.",
        "Each item of a list that is a whole sentence is kept as one.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Too short to be prose.",
        "x, y = f(a, b); the rest of the line is a comment.",
        "open_file read_file write_file close_file of the and the or.",
        "There is a value of x such that x >= 0 and it is the least of them.",
        "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda.",
        "this begins in the middle of a sentence that has been cut before.",
        "This ends in the middle of a sentence that has been cut after the",
        "See https://example.org for what there is to be said about the matter.",
        "Permission is hereby granted to those who hold the Copyright of this file.",
        "In the {name} there is a placeholder that has never been filled in by anyone.",
        "For details of the algorithm that is used here see. It is a fast one.",
        "It is used (as was said before in the text of this function to open it.",
    ],
)
def test_what_is_not_prose(text: str) -> None:
    assert not is_prose(text)


@pytest.mark.parametrize(
    "text",
    [
        "The well-known rule doesn't hold, because 3.5 is not a whole number.",
        '"It depends," she said, and there was nothing more to be said about it.',
        "I was told that a kk is a thing of the past (and not only here).",  # k: a capital KELVIN SIGN folds to it
    ],
)
def test_what_is_prose(text: str) -> None:
    assert is_prose(text)


def test_an_announcement_of_code_goes_with_the_code() -> None:
    assert paragraphs("It can be made in two ways. For instance:\n\n    code()") == []
    assert paragraphs("A matrix can be made in more than one way, by hand. For instance::\n\n    code()") == [
        "A matrix can be made in more than one way, by hand."
    ]


@given(st.text(max_size=300))
def test_any_text_gives_clean_paragraphs_or_none(text: str) -> None:
    for paragraph in paragraphs(text):
        assert len(paragraph.split()) >= LEAST_WORDS
        assert paragraph == " ".join(paragraph.split())


@given(st.randoms(use_true_random=False), st.integers(0, 8))
def test_indentation_of_the_whole_does_not_matter(source: random.Random, indent: int) -> None:
    blocks = NUMPYDOC.split("\n\n")
    source.shuffle(blocks)
    text = "First line.\n\n" + textwrap.dedent("\n\n".join(blocks))
    assert paragraphs(textwrap.indent(text, " " * indent)) == paragraphs(text)


def test_a_real_docstring_of_numpy() -> None:
    assert paragraphs(np.linalg.svd.__doc__ or "") == [
        "When compute_uv is True, the result is a namedtuple with the following attribute names: U, S, and Vh.",
        "If a is a matrix object (as opposed to an ndarray), then so are all the return values.",
    ]
