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
        stack.enter_context(_not_rescaled(model))
        try:
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
def _not_rescaled(model: PreTrainedModel) -> Iterator[None]:
    """Keep RWKV from dividing its weights in place, which it does when it is first used in evaluation mode."""
    halved = [module for module in model.modules() if hasattr(module, "layers_are_rescaled")]
    every = getattr(model.config, "rescale_every", 0)
    for module in halved:
        module.train()
        module._rescale_layers()  # back to the weights that are trained, if they were not so already
        model.config.rescale_every = 0
    try:
        yield
    finally:
        for module in halved:
            module.layers_are_rescaled = False
            model.config.rescale_every = every
