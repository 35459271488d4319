"""A model in the middle of its training: found in its wrappers, read, and left as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedModel

# Where wrappers keep the model: torch.compile; DataParallel, DistributedDataParallel and most others.
_INNER = ("_orig_mod", "module")


def unwrapped(model: Module) -> PreTrainedModel:
    """The model of `transformers` in what `torch.compile`, `DistributedDataParallel` or accelerate made of it.

    Raises `PhasescopeError` if there is none, or if its parameters are spread over several processes.
    """
    from transformers import PreTrainedModel

    found: Any = model
    while not isinstance(found, PreTrainedModel):
        inner = next((getattr(found, name) for name in _INNER if hasattr(found, name)), None)
        if inner is None:
            raise PhasescopeError(
                f"A TrainingProbe reads models of transformers, and this is a {type(model).__name__}. Hand it the "
                "model itself, not what it is built into."
            )
        found = inner
    spread = [name for name, p in found.named_parameters() if not p.numel() or hasattr(p, "to_local")]
    if spread:
        raise PhasescopeError(
            f"A TrainingProbe cannot read parameters that are spread over several processes ({spread[0]}, as FSDP and "
            "DeepSpeed ZeRO-3 do). Save checkpoints, and capture these."
        )
    return found


def require_own_gradients(model: Module) -> None:
    """Raise `PhasescopeError` if somebody waits for gradients, and would take the probe's for those of training.

    DistributedDataParallel would wait for the other processes; an optimiser inside the backward pass would update.
    """
    from torch.nn.parallel import DistributedDataParallel

    shared = any(isinstance(module, DistributedDataParallel) for module in model.modules())
    if shared or any(getattr(p, "_post_accumulate_grad_hooks", None) for p in model.parameters()):
        raise PhasescopeError(
            "A TrainingProbe cannot take gradients of a model whose gradients are used as soon as they are made (by "
            "DistributedDataParallel, or an optimiser in the backward pass). Leave gradients out, or save checkpoints "
            "and capture these."
        )


@contextmanager
def left_as_it_was(model: PreTrainedModel) -> Iterator[None]:
    """While it lasts the model can be read as if it had been loaded from disk; afterwards nothing has changed.

    In between it is in evaluation mode, without gradients, autocast or compiled code. What comes back: the mode of
    every module, gradients and what requires them, the state of torch's random numbers. Gradient checkpointing, the
    cache and dropout are for training mode or not asked for, and so play no part.
    """
    import torch

    device = model.get_input_embeddings().weight.device
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if "torch._dynamo" in sys.modules:  # else nothing has been compiled, and importing it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_plain_forward(model))
        try:
            _undo_rescaling(model)
            model.eval()
            for parameter, _, _ in parameters:
                parameter.grad = None
            yield
        finally:
            for module, training in modes:
                module.training = training
            for parameter, gradient, required in parameters:
                parameter.grad = gradient
                parameter.requires_grad_(required)


@contextmanager
def _plain_forward(model: PreTrainedModel) -> Iterator[None]:
    """Without what accelerate puts around a model's forward pass to compute in another precision."""
    around = model.__dict__.pop("forward", None) if hasattr(model, "_original_forward") else None
    try:
        yield
    finally:
        if around is not None:
            model.forward = around


def _undo_rescaling(model: PreTrainedModel) -> None:
    """Give RWKV its weights back, which it divides in place when it is run in evaluation mode; it will do so again."""
    for module in model.modules():
        if getattr(module, "layers_are_rescaled", False):
            module.train()
            module._rescale_layers()
