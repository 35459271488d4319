"""Gradients of the loss: of every batch their norms, of all together their spectra, sketches and, if asked, matrices.

As "Tending Towards Stability" (arXiv 2410.11451) has them: at every checkpoint, the weights held still, one gradient
for each of several batches, above all the batches of the updates around the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phasescope.probes.backward import Backward
from phasescope.probes.plan import AROUND
from phasescope.probes.weights import circuits, shared_heads, site_attrs, without_padding
from phasescope.store import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float64, Int
    from torch import Tensor

    from phasescope.hooks import TappedModel
    from phasescope.probes.backward import Sums
    from phasescope.probes.plan import Probes
    from phasescope.store import Scalar, Writer
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs

LOSS = "next-token cross-entropy, mean over tokens"
# Entries of the sketches from which gradients of different checkpoints are compared: cosines to ± 1/64.
SKETCH = 4096
WHOLE = "model"
"""The name of all parameters together, biases and norms included."""


def record_gradients(
    model: TappedModel, checkpoint: Checkpoint, inputs: Inputs, probes: Probes, writer: Writer
) -> None:
    """Write the group `/gradients` of a shard, if gradients are asked for.

    `loss` `[batches]` (nats) and `steps` `[batches]` of the batches, and by weight site and circuit: `norms`
    `[batches, …]` (Frobenius) and `products` `[batches − 1, …]` (of each batch's gradient with that of the batch
    before), per head where there are heads; of the mean gradient over all tokens `spectra` (singular values, float64),
    of matrices also `sketches` and, if asked, the `matrices`. Memory: three sums of all parameters beside the model.

    The gradient of a circuit is how fast gradient descent changes its product: of W_V W_O it is G_V W_O + W_V G_O.

    Raises `BadCheckpointError` where a loss or gradient is not finite, `PhasescopeError` where batches are not known.
    """
    if probes.gradients is None:
        return
    batches = gradient_batches(checkpoint, inputs, probes)
    tokens = sum(windows[:, 1:].numel() for windows in batches.values())
    seen = _Seen(model, inputs.vocabulary)
    losses = []
    with Backward(model, probes.on(model.device.type)) as backward:
        total, current, previous = backward.zeros(), backward.zeros(), backward.zeros()
        for windows in batches.values():
            losses.append(backward.read(windows, into=current))
            for parameter, gradient in current.items():
                total[parameter].add_(gradient, alpha=windows[:, 1:].numel() / tokens)
            seen.add(current, previous)
            current, previous = previous, current
    del current, previous
    attrs: dict[str, Scalar] = {"loss": LOSS, "read": probes.gradients, "tokens": tokens}
    writer.put("gradients/loss", Entry(np.array(losses), {"units": "nats", "axes": "batches", **attrs}))
    steps = [step if probes.gradients == "training" else -1 for step in batches]
    writer.put("gradients/steps", Entry(np.array(steps), {"axes": "batches"}))
    seen.write(total, writer)
    _write_mean(seen.named(total), seen.weights, probes.keep_gradients, writer)


def gradient_batches(
    checkpoint: Checkpoint, inputs: Inputs, probes: Probes
) -> dict[int, Int[Tensor, "sequences context+1"]]:
    """The batches that gradients are taken on: by training step, or numbered if they are of the frozen inputs."""
    import torch

    from phasescope.suites.batches import training_batches

    if probes.gradients == "training":
        return training_batches(checkpoint, AROUND)
    sequences, batches = probes.gradient_cut(inputs.sequences)
    return dict(enumerate(torch.from_numpy(inputs.tokens[:sequences]).tensor_split(batches)))


@dataclass
class _Seen:
    """What is kept of every batch: norms, and inner products with the batch before."""

    model: TappedModel
    vocabulary: int
    weights: dict[str, Tensor] = field(init=False)
    norms: dict[str, list[Tensor]] = field(default_factory=dict)
    products: dict[str, list[Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weights = dict(without_padding(self.model.architecture.weights(self.model.model), self.vocabulary))

    def named(self, sums: Sums) -> dict[str, Tensor]:
        """Sums under the names of the weight sites, shaped as these."""
        return dict(
            without_padding(self.model.architecture.weights(self.model.model, sums.__getitem__), self.vocabulary)
        )

    def add(self, current: Sums, previous: Sums) -> None:
        """Take note of one batch's gradient; `previous` is that of the batch before, if there was one."""
        first = not self.norms
        for name, square in self._products(current, current).items():
            self.norms.setdefault(name, []).append(square.clamp(min=0).sqrt())
        if not first:
            for name, product in self._products(current, previous).items():
                self.products.setdefault(name, []).append(product)

    def _products(self, x: Sums, y: Sums) -> dict[str, Float64[Tensor, "..."]]:
        from phasescope.measures import frobenius_product

        one, other = self.named(x), self.named(y)
        found = {WHOLE: whole_product(x, y)}
        found |= {name: frobenius_product(gradient, other[name]) for name, gradient in one.items()}
        tangents = zip(circuit_gradients(self.weights, one), circuit_gradients(self.weights, other), strict=True)
        for (name, left, right), (_, other_left, other_right) in tangents:
            # ⟨A B, C D⟩ = ⟨Aᵀ C, B Dᵀ⟩: the products of d_model × d_model entries are never formed.
            found[name] = frobenius_product(left.mT @ other_left, right @ other_right.mT)
        return found

    def write(self, total: Sums, writer: Writer) -> None:
        """Write norms and products, and beside those of the whole model what they are to be compared with."""
        import torch

        weights = {parameter: parameter.detach() for parameter in self.model.model.parameters()}
        whole: dict[str, Scalar] = {
            "mean_norm": float(whole_product(total, total) ** 0.5),
            "weight_norm": float(whole_product(weights, weights) ** 0.5),
        }
        for group, values in [("norms", self.norms), ("products", self.products)]:
            for name, found in values.items():
                stacked = torch.stack(found).cpu().numpy()
                attrs: dict[str, Scalar] = {"axes": " ".join(["batches", "heads"][: stacked.ndim])}
                attrs |= {"component": WHOLE, **whole} if name == WHOLE else site_attrs(name)
                attrs |= shared_heads(self.model, name)
                writer.put(f"gradients/{group}/{name}", Entry(stacked, attrs))


def whole_product(x: Sums, y: Sums) -> Float64[Tensor, ""]:
    """The inner product over all parameters, each counted once, tied or not."""
    import torch

    from phasescope.measures import frobenius_product

    rows = [(values.reshape(-1, 1), y[parameter].reshape(-1, 1)) for parameter, values in x.items()]
    return torch.stack([frobenius_product(one, other).cpu() for one, other in rows]).sum()


def circuit_gradients(
    weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
) -> list[tuple[str, Float64[Tensor, "heads m k2"], Float64[Tensor, "heads k2 n"]]]:
    """Name and factors of the gradient of every circuit: of A B, with gradients G and H of A and B, it is G B + A H.

    That is `[c G, A] [B / c; H]`, a product of inner dimension 2 d_head; c gives both factors the size of one gradient.
    """
    import torch

    found = []
    # Of latent attention W_Q, W_K and W_V are products, which have no gradients.
    weights = {name: weight for name, weight in weights.items() if name in gradients}
    for (name, A, B), (_, G, H) in zip(circuits(weights), circuits(dict(gradients)), strict=True):
        A, B, G, H = (_wide(factor) for factor in (A, B, G, H))
        size = float(G.norm())
        c = float(A.norm()) / size if size else 1.0
        c = c or 1.0
        found.append((name, torch.cat([c * G, A], -1), torch.cat([B / c, H], -2)))
    return found


def _wide(values: Tensor) -> Tensor:
    """In float64, on a device that has it."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def _write_mean(gradients: dict[str, Tensor], weights: dict[str, Tensor], keep: bool, writer: Writer) -> None:
    """Spectra, sketches and matrices of the mean gradient."""
    from phasescope.measures import circuit_singular_values, count_sketch, singular_values

    for name, gradient in gradients.items():
        rows, columns = gradient.shape[-2:]
        attrs: dict[str, Scalar] = {**site_attrs(name, largest=min(rows, columns), rows=rows, columns=columns)}
        writer.put(f"gradients/spectra/{name}", Entry(singular_values(gradient).cpu().numpy(), attrs))
        sketch = count_sketch(gradient, SKETCH, name)
        writer.put(f"gradients/sketches/{name}", Entry(sketch, {**site_attrs(name, entries=gradient.numel())}))
        if keep:
            writer.put(f"gradients/matrices/{name}", Entry(gradient.float().cpu().numpy(), {**site_attrs(name)}))
    for name, left, right in circuit_gradients(weights, gradients):
        rows, columns = left.shape[-2], right.shape[-1]
        largest = min(rows, columns, left.shape[-1])
        attrs = {**site_attrs(name, largest=largest, rows=rows, columns=columns)}
        writer.put(f"gradients/spectra/{name}", Entry(circuit_singular_values(left, right).cpu().numpy(), attrs))
