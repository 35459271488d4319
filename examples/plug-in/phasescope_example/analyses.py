"""phasescope analyse RUN top_share"""

import phasescope as ps

COLUMNS = {"size": "str", "seed": "int64", "step": "int64", "share": "float64"}
SHARE = ps.Table("top_share", "share of W_out's first singular value", COLUMNS)


@ps.analysis("How low-rank is the first layer's MLP?", [SHARE])
def top_share(reader, options):
    """One row for each checkpoint."""
    import pandas as pd

    rows = []
    for key in reader.keys:
        with reader.folder.open_shard(key) as shard:
            values = shard.read("spectra/blocks.0.mlp.W_out")
        rows.append((key.size, key.seed, key.step, values[0] / values.sum()))
    return {"top_share": pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)}
