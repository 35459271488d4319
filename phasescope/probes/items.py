"""How likely a model finds the scored spans of items: the pass beyond the frozen inputs, for behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.probes.activations import to_storage

if TYPE_CHECKING:
    from jaxtyping import Int64
    from torch import Tensor

    from phasescope.hooks import TappedModel
    from phasescope.probes.heads import HeadProbe
    from phasescope.probes.lens import LensProbe
    from phasescope.texts import Items, Scores

# A batch of short sequences holds as many tokens as one of sequences so long.
_USUAL_CONTEXT = 256
# Enough tokens to see whether logits are made as they should be.
_CHECKED = 8


@dataclass(frozen=True)
class _Rows:
    """Sequences as the model reads them, and where it says what was asked.

    sequences: the item that each is. masked: the position that is masked in it; -1 where none is.
    """

    sequences: Int64[np.ndarray, "rows"]
    masked: Int64[np.ndarray, "rows"]


def score_items(model: TappedModel, items: Items, vocabulary: int, batch: int) -> Scores:
    """What a model makes of items: ln p of every scored token, and whether it would have said the same.

    Items go through the model in batches of about `batch` times 256 tokens, the short ones first, padded on the right:
    a model that reads from left to right does not see what is behind a token. Logits are made of the scored positions
    alone, chunk by chunk. A masked language model reads an item once for each scored token, which is masked: the sum is
    the pseudo-log-likelihood (Salazar et al. 2020, equation 2).

    vocabulary: entries that the tokenizer can mean; a model's rows beyond them do not count.

    Raises `BadCheckpointError` where predictions are not finite, `PhasescopeError` for a model whose logits are made in
    a way that is not known.
    """
    import torch

    from phasescope.hooks.output import check_unembedding, unembedding_of
    from phasescope.measures import surprisal_and_likeliest_from_hidden
    from phasescope.texts import Scores

    check_unembedding(model, torch.from_numpy(items.sequence(0)[:_CHECKED]))
    unembedding = unembedding_of(model.model)
    log_prob = np.empty(items.scored.sum(), dtype=np.float32)
    likeliest = np.empty(len(log_prob), dtype=bool)
    heads, lens = _probes(model, items, vocabulary)
    for rows in _batches(items, batch * _USUAL_CONTEXT):
        places, targets, hidden = _read(model, items, rows, heads or lens)
        surprisal, chosen = surprisal_and_likeliest_from_hidden(hidden, unembedding, targets, vocabulary=vocabulary)
        log_prob[places] = -to_storage(surprisal, "float32", "the surprisal of items")
        likeliest[places] = chosen.cpu().numpy()
    greedy = np.logical_and.reduceat(likeliest, items.scored_starts)
    seen = heads.found if heads else {}
    return Scores(log_prob, greedy.astype(np.uint8), seen, lens.found() if lens else {})


def _probes(model: TappedModel, items: Items, vocabulary: int) -> tuple[HeadProbe | None, LensProbe | None]:
    """What looks at more than predictions while items of some kinds are read."""
    from phasescope.probes.heads import HeadProbe
    from phasescope.probes.lens import LensProbe
    from phasescope.texts.made import passages, repeats

    if items.kind == repeats.KIND:
        return HeadProbe(model, items), None
    return None, LensProbe(model, items, vocabulary) if items.kind == passages.KIND else None


def _batches(items: Items, tokens: int) -> Iterator[_Rows]:
    """Rows to read at once, in order of length, of at most so many tokens with their padding, at least one row.

    Of masked language models, which would see the padding, only rows of one length.
    """
    if items.framing is None:
        sequences, masked = np.arange(items.items), np.full(items.items, -1)
    else:
        sequences = np.repeat(np.arange(items.items), items.scored)
        masked = np.concatenate([np.arange(a, b) for a, b in zip(items.first, items.last, strict=True)])
    order = np.argsort(items.lengths[sequences], kind="stable")
    lengths = items.lengths[sequences[order]]
    start = 0
    while start < len(order):
        # The batch is as wide as its last row, so it is full where rows times the width of the last are too many.
        full = np.arange(1, len(order) - start + 1) * lengths[start:] > tokens
        if items.framing is not None:
            full |= lengths[start:] != lengths[start]
        end = start + max(1, int(full.argmax()) if full.any() else len(full))
        yield _Rows(sequences[order[start:end]], masked[order[start:end]])
        start = end


def _read(
    model: TappedModel, items: Items, rows: _Rows, probe: HeadProbe | LensProbe | None
) -> tuple[Int64[np.ndarray, "scored"], Tensor, Tensor]:
    """Of a batch: where its scores are among those of all, the scored tokens, the hidden states that predict them.

    probe: is shown what its sites are where they are predicted.
    """
    import torch

    from phasescope.probes.seen import Seen

    sequences, lengths = rows.sequences, items.lengths[rows.sequences]
    # Padded with each one's own last token, which every model has.
    columns = np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
    tokens = items.tokens[items.starts[sequences][:, None] + columns]
    if items.framing is None:
        first, counts, ahead = items.first[sequences].astype(np.int64), items.scored[sequences], 1
    else:
        first, counts, ahead = rows.masked, np.ones(len(sequences), dtype=np.int64), 0
    row = np.repeat(np.arange(len(sequences)), counts)
    at = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    targets = tokens[row, at]
    places = items.scored_starts[sequences][row] + at - items.first[sequences][row]
    if items.framing is None:
        tokens = tokens[:, :-1]  # the last is predicted, and nothing is predicted from it
    else:
        tokens[row, at] = items.framing.mask
    batch = torch.from_numpy(tokens).long()
    # Of items that are asked for fewer tokens than others the last is read again.
    column = np.minimum(np.arange(counts.max()), counts[:, None] - 1) + np.cumsum(counts)[:, None] - counts[:, None]
    asking = torch.from_numpy((at - ahead)[column]) if probe else torch.zeros_like(batch[:, :1])
    reading = model.read(batch, asking, probe.sites if probe else [], final_hidden=True)
    hidden = reading.final_hidden
    assert hidden is not None
    predicting = torch.from_numpy(row * tokens.shape[1] + at - ahead).to(hidden.device)
    asked = torch.from_numpy(targets).to(hidden.device, torch.int64)
    final = hidden.flatten(0, 1).index_select(0, predicting)
    if probe:
        # Where each scored token is among the positions that were asked for.
        once = torch.from_numpy(np.unique(column.ravel(), return_index=True)[1]).to(hidden.device)
        shown = {site: values.index_select(0, once) for site, values in reading.activations.items()}
        probe.note(Seen(sequences, places, shown, final))
    return places, asked, final
