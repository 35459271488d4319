"""What runs on NDIF's servers, inside the block of a trace, where phasescope is not installed.

nnsight sends a function by its source if it cannot be imported by its name, so each is made inside another. They use
torch and plain values, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def sampling() -> Callable[..., Tensor]:
    """A function that takes the samples of one site."""

    def take(plan: dict[str, Any], sequences: Tensor, places: Tensor, context: int) -> Tensor:
        """plan: as `RemoteModel` makes it for a site."""
        import torch

        module = plan["module"]
        shown = module.input if plan["side"] == "input" else module.output
        if isinstance(shown, tuple) and plan["component"] not in ("router", "routed"):
            shown = shown[plan["item"]]
        if plan["component"] == "router":
            scores = shown[plan["item"]].float()
            made = {"sigmoid": scores.sigmoid(), "softmax": scores.softmax(-1), "given": scores}
            shown = made[plan["by"]]
        if plan["component"] == "routed" and len(shown) < 3:
            shown = shown[plan["item"]]
        elif plan["component"] == "routed":
            scores, weights, chosen = shown
            # Of a token that is dropped an expert beyond the last is named.
            weights = weights.to(scores.dtype) * (chosen < scores.shape[-1])
            shown = torch.zeros_like(scores).scatter_add(-1, chosen.clamp(max=scores.shape[-1] - 1), weights)
        if plan["component"] == "ov_out" and shown.ndim == 4:
            shown = shown.flatten(2) if plan["by_head"] else shown[:, 0]
        sequences, places = sequences.to(shown.device), places.to(shown.device)
        if plan["component"] in ("pattern", "sink"):
            queries: Tensor = shown[sequences, :, places].detach().cpu()
            return queries if plan["component"] == "pattern" else 1 - queries.sum(-1)
        # Of modules that a user named, rows side by side could be those of anything: nothing shows it here.
        batch = int(sequences[-1]) + 1
        flat = shown.ndim == 2 and len(shown) == batch * context and not plan["named"]
        if not flat and (shown.ndim != 3 or tuple(shown.shape[:2]) != (batch, context)):
            raise ValueError(
                f"{plan['path']} gives {list(shown.shape)} for {batch} sequences of {context} tokens, not one vector "
                "for every position: name another module with --module, or leave --remote out."
            )
        rows = shown if flat else shown.flatten(0, 1)
        taken: Tensor = rows[sequences * context + places].detach() * plan["scale"]
        if plan["component"] == "z":
            taken = taken.reshape(len(taken), plan["heads"], -1)
        if plan["component"] == "ov_out":
            values = taken[:, plan["columns"].to(taken.device)]
            if plan["clip"] is not None:
                values = values.clamp(-plan["clip"], plan["clip"])
            weight = plan["output"].weight.detach().to(taken.device)
            weight = weight.T if plan["transposed"] else weight
            W_O = weight.reshape(plan["heads"], -1, weight.shape[1])
            taken = torch.einsum("shd,hdm->shm", values, W_O)
        return taken.cpu()

    return take


def predicting() -> Callable[..., tuple[Tensor, Tensor, float]]:
    """A function that makes surprisal and entropy of final hidden states, some entries of the vocabulary at a time."""

    def predict(
        head: Any, rows: Tensor, wanted: Tensor, vocabulary: int, scale: float, cap: float | None, outputs: Any
    ) -> tuple[Tensor, Tensor, float]:
        """Surprisal and entropy `[n]`, and how far the first logits are from the model's own, of the largest of these.

        head: the module that makes logits. rows: which hidden states. wanted: the tokens. outputs: gives what the
        model gave, once the head has been reached.
        """
        import torch

        def logits_of(hidden: Tensor, first: int, last: int) -> Tensor:
            logits = hidden @ head.weight[first:last].detach().float().T
            bias = getattr(head, "bias", None)
            logits = (logits if bias is None else logits + bias[first:last].detach().float()) * scale
            return logits if cap is None else torch.tanh(logits / cap) * cap

        hidden = head.input.detach().flatten(0, 1).float()
        checked, hidden, wanted = hidden[:8], hidden[rows.to(hidden.device)], wanted.to(hidden.device)
        largest = torch.full_like(hidden[:, 0], float("-inf"))
        total, weighted, of_wanted = (torch.zeros_like(largest) for _ in range(3))
        for first in range(0, vocabulary, 8192):
            last = min(first + 8192, vocabulary)
            logits = logits_of(hidden, first, last)
            # Sums so far were taken with another logit as the largest.
            now = torch.maximum(largest, logits.amax(-1))
            shrunk, shares = torch.exp(largest - now), torch.exp(logits - now[:, None])
            total = total * shrunk + shares.sum(-1)
            weighted = weighted * shrunk + (shares * logits).sum(-1)
            largest = now
            here = logits.gather(1, (wanted - first).clamp(0, last - first - 1)[:, None])[:, 0]
            of_wanted = torch.where((wanted >= first) & (wanted < last), here, of_wanted)
        log_total = largest + total.log()
        own = outputs().logits.detach().flatten(0, 1)[:8].float().to(hidden.device)
        off = (logits_of(checked, 0, own.shape[1]) - own).abs().max() / own.abs().max().clamp(min=1e-30)
        off = float(off) if own.isfinite().all() else 0.0
        return (log_total - of_wanted).cpu(), (log_total - weighted / total).cpu(), off

    return predict
