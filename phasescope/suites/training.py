"""The mathematics of training one model: initialisation, data order, loss and update."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.suites.recipe import Recipe
from phasescope.suites.shapes import ARCHITECTURES, Shape, settings_of

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int, Shaped
    from numpy.typing import NDArray
    from torch import Tensor

BETAS = (0.9, 0.95)
LARGEST_GRADIENT = 1.0
# Weights are drawn from the generator of the whole process, by one training at a time.
_INITIALISING = Lock()


@dataclass(frozen=True)
class Windows:
    """The batches that one seed reads: a seeded permutation of the text's windows, a new one for each epoch.

    The batch of a step is a function of the seed and the step alone, so that training can go on from any step; it
    is the same for all sizes.
    """

    tokens: Shaped[NDArray[Any], "tokens"]
    context: int
    batch: int
    seed: int

    def __len__(self) -> int:
        """How many windows there are; the last needs one token after it, its last target."""
        return (len(self.tokens) - 1) // self.context

    def at(self, step: int) -> Int[Tensor, "batch context+1"]:
        """The windows of the update that leads from `step` to the next: inputs, and one token more as target."""
        import torch

        epoch, first = divmod(step * self.batch, len(self))
        chosen = self._order(epoch)[first : first + self.batch]
        while len(chosen) < self.batch:
            epoch += 1
            chosen = np.concatenate([chosen, self._order(epoch)])[: self.batch]
        places = chosen[:, None] * self.context + np.arange(self.context + 1)
        return torch.from_numpy(self.tokens[places].astype(np.int64))

    def _order(self, epoch: int) -> Int[NDArray[np.int64], "windows"]:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self))


def new_model(shape: Shape, recipe: Recipe, seed: int) -> Any:
    """A model with fresh weights, on the CPU, in float32: a function of its arguments alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        recipe.architecture,
        vocab_size=recipe.padded_vocabulary,
        max_position_embeddings=recipe.context,
        bos_token_id=0,
        eos_token_id=0,
        **settings_of(recipe.architecture, shape),
    )
    with _INITIALISING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def new_optimizer(model: Any, shape: Shape, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices only: biases, norms and the like are no directions that could overfit."""
    import torch

    others = ARCHITECTURES[recipe.architecture].not_decayed
    decays = {name: p.ndim >= 2 and not name.endswith(others) for name, p in model.named_parameters()}
    parameters = dict(model.named_parameters())
    groups = [
        {"params": [p for name, p in parameters.items() if decays[name]], "weight_decay": recipe.weight_decay},
        {"params": [p for name, p in parameters.items() if not decays[name]], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate_at(0, shape), betas=BETAS, fused=True)


def loss_into_gradient(
    logits: Float[Tensor, "batch context vocab"], targets: Int[Tensor, "batch context"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats; `logits` is overwritten with the loss's gradient by the logits.

    The logits are the largest tensor of a small model. Made into their own gradient, they are the only one of that
    size: no second is allocated, filled with zeros and freed in each step.
    """
    import torch

    with torch.no_grad():
        flat, wanted = logits.detach().flatten(0, 1), targets.flatten()
        rows = torch.arange(len(wanted), device=wanted.device)
        torch.log_softmax(flat, -1, out=flat)
        loss = -flat[rows, wanted].mean()
        flat.exp_()
        flat[rows, wanted] -= 1
        flat /= len(wanted)
    return loss


def update(model: Any, optimizer: torch.optim.AdamW, windows: Int[Tensor, "batch context+1"]) -> float:
    """One update of the weights; the loss before it, in nats per token.

    Raises `FloatingPointError` if the gradient is not finite, before any weight is touched.
    """
    import torch

    weight = getattr(model.config, "router_aux_loss_coef", None)
    asked = {} if weight is None else {"output_router_logits": True}
    made = model(input_ids=windows[:, :-1], use_cache=False, **asked)
    loss = loss_into_gradient(made.logits, windows[:, 1:])
    # What keeps experts from being left alone (Fedus et al. 2022) is no part of the loss that is told.
    balance = [] if weight is None else [weight * made.aux_loss]
    torch.autograd.backward([made.logits, *balance], [made.logits.detach(), *(None for _ in balance)])
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT, foreach=True)
    if not norm.isfinite():
        raise FloatingPointError(f"the gradient's norm is {norm.item()}")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss)


@contextmanager
def deterministic() -> Iterator[None]:
    """Only algorithms that give the same bits each time, where there is one; what was set before comes back."""
    import torch

    # cuBLAS reads this once, when the first product is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling all new memory with NaN finds bugs in torch, at the cost of writing it twice.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        settings.fill_uninitialized_memory = filled
