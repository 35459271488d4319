"""All measures of similarity by their names, each with what it prepares of either side (`_side.Side`).

>>> x, y = torch.randn(60, 8), torch.randn(60, 8)
>>> prepared = SIMILARITIES["rsa"].side(x)
>>> bool(prepared.to(SIMILARITIES["rsa"].side(y)) == rsa(x, y))
True
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from phasescope.measures._side import Side
from phasescope.measures.canonical import CanonicalSide, ProjectedSide
from phasescope.measures.cka import CkaSide
from phasescope.measures.neighbours import NeighbourSide
from phasescope.measures.procrustes import ProcrustesSide
from phasescope.measures.representational import RdmSide


@dataclass(frozen=True)
class Similarity:
    """A measure of how alike two sets of activations of the same samples are.

    Attributes:
        title: as a reader sees it.
        side: prepares activations `[samples, p]`.
        alike, apart: its value of activations that are the same, and the one that is farthest from it.
        unit: of its values; "" where they have none.
    """

    title: str
    side: Callable[[Any], Side]
    alike: float = 1.0
    apart: float = 0.0
    unit: str = ""


SIMILARITIES: dict[str, Similarity] = {
    "cka": Similarity("Linear CKA", CkaSide),
    "rsa": Similarity("RSA (Pearson)", RdmSide, apart=-1.0),
    "neighbours": Similarity("Mutual nearest neighbours", NeighbourSide),
    "procrustes": Similarity("Procrustes angle", ProcrustesSide, alike=0.0, apart=1.5707963267948966, unit="radians"),
    "mean_cca": Similarity("Mean CCA", CanonicalSide),
    "svcca": Similarity("SVCCA", partial(CanonicalSide, variance=0.99)),
    "pwcca": Similarity("PWCCA", ProjectedSide),
    "rsa_spearman": Similarity("RSA (Spearman)", partial(RdmSide, rdm="spearman"), apart=-1.0),
    "rsa_cosine": Similarity("RSA (cosine)", partial(RdmSide, rdm="cosine"), apart=-1.0),
}
"""`neighbours` of 10; `svcca` of the components that explain 99 %; RDMs of all kinds are compared by Spearman's ρ."""
