"""The gradient of the training loss by every parameter, one batch at a time."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Self

from phasescope.errors import BadCheckpointError, PhasescopeError

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor
    from torch.nn import Parameter
    from torch.utils.hooks import RemovableHandle

    from phasescope.hooks import TappedModel
    from phasescope.hooks.architecture import Architecture

    # By parameter, in float32 or wider.
    Sums = dict[Parameter, Tensor]

# What the loss of a float16 model is multiplied with at first: its gradients are often too small for float16.
_HIGHEST_SCALE = 2.0**16


def require_causal(architecture: Architecture) -> None:
    """Raise `PhasescopeError` for models that have no next-token loss."""
    if architecture.masked:
        raise PhasescopeError(
            f"Gradients are taken of causal language models' next-token loss, and {architecture.model_type} models "
            "predict masked tokens. Leave --gradients out."
        )


class Backward:
    """Computes gradients of the mean next-token cross-entropy (nats), of a model that is left as it was.

    The model is in evaluation mode, so there is no dropout; every row of the unembedding takes part in the softmax, as
    in training. A batch goes through the model in pieces of `piece` sequences, whose gradients are added up in float32,
    or in the model's own type where that is wider, whatever the model computes in. The loss of a float16 model is
    scaled up so that gradients do not vanish, and less so where they overflow. A parameter's own gradient is taken as
    soon as it is made, so one batch needs no more memory than one sum of all parameters.

    Use as a context: parameters get their own `.grad` and `requires_grad` back at the end.
    """

    def __init__(self, tapped: TappedModel, piece: int) -> None:
        import torch

        require_causal(tapped.architecture)
        if tapped.model.training:
            raise ValueError("the model is in training mode, where dropout changes gradients: call model.eval()")
        self._model = tapped.model
        self._while_read = tapped.architecture.while_read
        self._piece = piece
        self._scale = _HIGHEST_SCALE if tapped.model.dtype == torch.float16 else 1.0
        self._into: Sums = {}
        self._before: list[tuple[Parameter, bool, Tensor | None]] = []
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for parameter in self._model.parameters():
            self._before.append((parameter, parameter.requires_grad, parameter.grad))
            parameter.requires_grad_(True)
            parameter.grad = None
            self._hooks.append(parameter.register_post_accumulate_grad_hook(self._take))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        for parameter, required, gradient in self._before:
            parameter.requires_grad_(required)
            parameter.grad = gradient
        self._into, self._before, self._hooks = {}, [], []

    def zeros(self) -> Sums:
        """A sum for every parameter, on its device."""
        import torch

        return {
            parameter: torch.zeros_like(parameter, dtype=torch.promote_types(parameter.dtype, torch.float32))
            for parameter in self._model.parameters()
        }

    def read(self, windows: Int[Tensor, "sequences context+1"], into: Sums) -> float:
        """Replace what is in `into` by the gradient of the mean loss over all targets of a batch; return the loss.

        Raises `BadCheckpointError` where the loss or the gradient is not finite.
        """
        while True:
            loss = self._pass(windows, into)
            if not math.isfinite(loss):
                raise BadCheckpointError(
                    f"The loss is {loss} nats per token, so it has no gradient: the model overflows. "
                    "Try --dtype float32."
                )
            if all(bool(gradient.sum().isfinite()) for gradient in into.values()):
                return loss
            if self._scale == 1:
                raise BadCheckpointError("The gradient of the loss is not finite: it overflows. Try --dtype float32.")
            self._scale /= 16

    def _pass(self, windows: Tensor, into: Sums) -> float:
        import torch

        from phasescope.suites.training import loss_into_gradient

        for gradient in into.values():
            gradient.zero_()
        self._into, loss = into, 0.0
        for part in torch.split(windows.to(self._model.device, torch.int64), self._piece):
            share = len(part) / len(windows)
            with torch.enable_grad(), self._while_read(self._model):
                logits = self._model(input_ids=part[:, :-1], use_cache=False).logits
            # In float32 these are the logits themselves, which become their own gradient.
            wide = logits.detach().to(torch.promote_types(logits.dtype, torch.float32))
            loss += share * float(loss_into_gradient(wide, part[:, 1:]))
            if not math.isfinite(loss):
                break
            logits.backward(wide.mul_(share * self._scale).to(logits.dtype))
        return loss

    def _take(self, parameter: Parameter) -> None:
        assert parameter.grad is not None, "the hook is called after the gradient is there"
        self._into[parameter].add_(parameter.grad, alpha=1 / self._scale)
        parameter.grad = None
