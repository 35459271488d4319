"""What measures and relations of similarity are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {
    "cka": "Linear CKA",
    "rsa": "RSA (Pearson)",
    "neighbours": "Mutual nearest neighbours",
    "procrustes": "Procrustes angle (radians)",
    "mean_cca": "Mean CCA",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "rsa_spearman": "RSA (Spearman)",
    "rsa_cosine": "RSA (cosine)",
}
RELATIONS = {
    "final": "To the last step",
    "previous": "To the step before",
    "next_layer": "To the next layer",
    "seed": "Between seeds",
    "size": "To the next larger size",
}


def bounds(measure: str) -> tuple[float, float | None]:
    """Of the colours of a map."""
    return (0.0, None) if measure == "procrustes" else (0.0, 1.0)


def map_title(rows: pd.DataFrame) -> str:
    """Which two checkpoints a map is of: `1m/seed1/step512 beside step 0`."""
    row = rows.iloc[0]
    here = f"{row['size']}/seed{row['seed']}/step{row['step']}"
    same = [row[name] == row[f"other_{name}"] for name in ("size", "seed", "step")]
    if all(same):
        return f"{here} beside itself"
    if same == [True, True, False]:
        return f"{here} beside its step {row['other_step']}"
    return f"{here} beside {row['other_size']}/seed{row['other_seed']}/step{row['other_step']}"
