"""The tokens of a run, and how surprising each of them was, as tidy tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pandas import DataFrame

    from phasescope.analyses import RunReader
    from phasescope.analyses.choosing import Trajectory


def token_table(reader: RunReader) -> DataFrame:
    """Columns sequence, position, token, text, word, tag, sampled: a row for each token that the models read."""
    import pandas as pd

    inputs = reader.inputs
    sequence, position = (axis.ravel() for axis in np.indices(inputs.tokens.shape))
    sampled = np.zeros(inputs.tokens.shape, bool)
    np.put_along_axis(sampled, inputs.positions, True, axis=1)
    tokens, words = inputs.tokens.ravel(), inputs.word_ids.ravel()
    texts, why = _texts(reader)
    made = pd.DataFrame(
        {
            "sequence": sequence,
            "position": position,
            "token": tokens.astype(np.int64),
            "text": pd.Series([texts.get(int(token)) for token in tokens], dtype="str"),
            "word": _named(words, inputs.words),
            "tag": _named(words, inputs.tags or []),
            "sampled": sampled.ravel(),
        }
    )
    if why:
        made.attrs["text"] = why
    return made


def token_surprisal(reader: RunReader, tokens: DataFrame, trajectories: Iterable[Trajectory]) -> DataFrame:
    """Surprisal and entropy of each token that was predicted, beside what `token_table` says of it."""
    import pandas as pd

    about = tokens.iloc[: reader.inputs.output_sequences * reader.inputs.context]
    # Column j of the outputs is about the token at position j + 1.
    about = about[about["position"] > 0].reset_index(drop=True)
    parts = []
    for key in (key for _, _, keys in trajectories for key in keys):
        with reader.folder.open_shard(key) as shard:
            if "outputs/surprisal" not in shard.names("outputs"):
                continue
            found = {name: shard.read(f"outputs/{name}").ravel() for name in ("surprisal", "entropy")}
        where = pd.DataFrame({"size": key.size, "seed": key.seed, "step": key.step}, index=about.index)
        parts.append(pd.concat([where, about, pd.DataFrame(found)], axis="columns"))
    if not parts:
        raise PhasescopeError(f"{reader.folder.path} holds no outputs: capture it without --no-outputs.")
    made = pd.concat(parts, ignore_index=True)
    made.attrs = dict(tokens.attrs)
    return made


def _named(places: np.ndarray[Any, Any], names: Sequence[str]) -> Any:
    """The name at each place; missing for −1, and where there are no names or an empty one."""
    import pandas as pd

    known = [*(name or None for name in names), None]
    return pd.Series([known[place] if 0 <= place < len(names) else None for place in places], dtype="str")


def _texts(reader: RunReader) -> tuple[dict[int, str], str]:
    """What each token stands for; without the tokenizer of the suite nothing, and why.

    A suite is looked for in the folder where it lay: nothing is fetched because a run says so.
    """
    from phasescope.visits.recorded import suite_of

    try:
        tokenizer = suite_of(reader.manifest).checkpoints[-1].tokenizer()
    except PhasescopeError as error:
        return {}, f"The suite's tokenizer is not here, so tokens have no text: {error}"
    return {int(token): str(tokenizer.decode([int(token)])) for token in np.unique(reader.inputs.tokens)}, ""
