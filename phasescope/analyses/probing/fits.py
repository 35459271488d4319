"""A linear probe: how well it does on sequences that it has not seen, and in how few bits it says the labels.

Everything is fitted by scikit-learn (`StandardScaler`, `LogisticRegression` with an L2 penalty).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.probing.labels import NONE

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int

    from phasescope.analyses.probing.labels import Label, Tasks

PENALTIES = (0.01, 0.1, 1.0)
"""scikit-learn's C, from the strongest penalty to the weakest."""
_FIT: dict[str, Any] = {"tol": 1e-3, "max_iter": 200}


@dataclass(frozen=True, eq=False)
class Found:
    """What one probe of one site finds.

    Attributes:
        C: the inverse penalty that was chosen.
        right: `[held-out samples]`, 1 where the probe is right, 0 where not, NaN where a sample has no label.
        control: the same of the control tasks, their mean.
        bits: `[training samples]`, in the order of the code: what each label costs; NaN where there is none.
    """

    C: float
    right: Float64[np.ndarray, "held_out"]
    control: Float64[np.ndarray, "held_out"]
    bits: Float64[np.ndarray, "train"]


def probe(values: Float[np.ndarray, "samples features"], label: Label, tasks: Tasks) -> Found:
    """Probe activations for a label.

    The penalty is that of the shortest code of the training labels, so that held-out sequences have no part in it;
    which one it is costs log2 of the number of penalties, spread over the labels. Control tasks get the same penalty.

    Values must be finite.
    """
    known = label.answers != NONE
    train, held = ~tasks.held_out & known, tasks.held_out & known
    codes = _codes(values, label, tasks)
    best = int(np.nansum(codes, axis=1).argmin())
    bits = codes[best] + np.log2(len(PENALTIES)) / int(np.isfinite(codes[best]).sum())
    rights = []
    for answers in (label.answers, *label.controls):
        one = PENALTIES[best : best + 1]
        [likely] = _likely(values[train], answers[train], values[held], len(label.classes), one)
        right = np.full(len(known), np.nan)
        right[held] = likely.argmax(1) == answers[held]
        rights.append(right[tasks.held_out])
    return Found(PENALTIES[best], rights[0], np.mean(rights[1:], axis=0), bits)


def _codes(
    values: Float[np.ndarray, "samples features"], label: Label, tasks: Tasks
) -> Float64[np.ndarray, "penalties train"]:
    """Bits of each training label in the online code of Voita & Titov 2020, arXiv 2003.12298, section 2.2.

    The first block is coded as if all classes were as likely, each further one by a probe of all before it. A probe
    that has seen few labels knows too little of what it has not seen, and some classes not at all: after n labels of K
    classes its probabilities p count as (n p + 1) / (n + K).
    """
    values, answers = values[tasks.order], label.answers[tasks.order]
    classes = len(label.classes)
    bits = np.empty((len(PENALTIES), len(answers)))
    known = answers != NONE
    bits[:, : tasks.ends[0]] = np.log2(classes)
    for start, end in pairwise(tasks.ends.tolist()):
        seen, block = known[:start], slice(start, end)
        count = int(seen.sum())
        every = _likely(values[:start][seen], answers[:start][seen], values[block], classes, PENALTIES)
        for code, likely in zip(bits, every, strict=True):
            of_answer = likely[np.arange(end - start), np.maximum(answers[block], 0)]
            code[block] = -np.log2((count * of_answer + 1) / (count + classes))
    return np.where(known, bits, np.nan)


def _likely(
    values: Float[np.ndarray, "train features"],
    answers: Int[np.ndarray, "train"],
    others: Float[np.ndarray, "others features"],
    classes: int,
    penalties: Sequence[float],
) -> Iterator[Float64[np.ndarray, "others classes"]]:
    """For each penalty the probabilities of the classes for other samples: 0 for one that is not among the answers."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    present = np.unique(answers)
    if len(present) < 2:
        likely = np.zeros((len(others), classes))
        likely[:, present] = 1
        yield from [likely] * len(penalties)
        return
    scaler = StandardScaler().fit(values)
    values, others = scaler.transform(values), scaler.transform(others)
    model = LogisticRegression(warm_start=True, **_FIT)  # a weaker penalty begins where a stronger one ended
    for penalty in penalties:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of a loss decide nothing here
            model.set_params(C=penalty).fit(values, answers)
        likely = np.zeros((len(others), classes))
        likely[:, model.classes_] = model.predict_proba(others)
        yield likely
