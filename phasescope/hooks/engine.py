"""What every engine offers: open a loaded model, read sites at sampled positions, name its weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from phasescope.console import counted
from phasescope.errors import (
    BadArgumentError,
    BadCheckpointError,
    PhasescopeError,
    did_you_mean,
    nearest_number,
    require_library,
)
from phasescope.hooks.sampling import Reading

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor, device
    from transformers import PreTrainedModel

    from phasescope.hooks.projections import Heads
    from phasescope.hooks.sites import Site

# An engine is one file that has a class which satisfies `Engine`, and one line here.
ENGINES: dict[str, str] = {
    "torch": "phasescope.hooks.torch_engine:TorchEngine",
    "transformer_lens": "phasescope.hooks.transformer_lens_engine:TransformerLensEngine",
    "nnsight": "phasescope.hooks.nnsight_engine:NNsightEngine",
}


class Engine(Protocol):
    """A way of tapping a forward pass."""

    name: str

    def open(self, model: PreTrainedModel, modules: Sequence[str] = ()) -> TappedModel:
        """Put taps on a model that `transformers` loaded. The model itself is left as it is.

        modules: sites that the user names by module path, as `get_architecture` reads them.

        Raises PhasescopeError if this engine cannot read that model.
        """
        ...


def get_engine(name: str) -> Engine:
    """The engine of that name: `torch` (native hooks), `transformer_lens` or `nnsight`.

    Raises PhasescopeError, with the nearest name, if there is none.
    """
    if name not in ENGINES:
        raise BadArgumentError(f"There is no engine {name!r}. {did_you_mean(name, ENGINES)}")
    require_engine(name)
    module, _, engine = ENGINES[name].partition(":")
    made: Engine = getattr(import_module(module), engine)()
    return made


def require_engine(name: str) -> None:
    """Raise `PhasescopeError` where the library of an engine is not installed."""
    if name != "torch":
        require_library(name, "engines", f"The engine {name}")


def tap(model: PreTrainedModel, *, engine: str = "torch", modules: Sequence[str] = ()) -> TappedModel:
    """Put taps on a model of `transformers`, for forward passes of one's own. The model itself is left as it is.

    engine: `torch` (native hooks), `transformer_lens` or `nnsight`.
    modules: sites by module path, `"model.layers.{layer}.mlp=mlp_out"`, of architectures that are not known.

    Raises `PhasescopeError` for an engine that there is not, or a model that it cannot read.

    >>> import phasescope as ps
    >>> model = ps.tap(run.checkpoint("1m", seed=1, step=512).model())  # doctest: +SKIP
    >>> model.read(tokens, sites="L0.mlp_out")["L0.mlp_out"]  # [batch · context, d_model]  # doctest: +SKIP
    """
    return get_engine(engine).open(model, modules)


# What says of an error that the machine is at fault, not the model: those are for the caller to explain.
_OF_THE_MACHINE = ("out of memory", "can't allocate memory", "cuda error", "accelerator")


@contextmanager
def _in_a_sentence(model_type: str) -> Iterator[None]:
    """What goes wrong inside a model, or where an entry says that it has what it has not, as one sentence."""
    try:
        yield
    except (PhasescopeError, ValueError, MemoryError, OSError):  # ours, the caller's, the machine's
        raise
    except AttributeError as error:
        raise PhasescopeError(
            f"What is known of {model_type!r} models does not fit this one ({error}): put the entry right, as "
            f"phasescope probe-architecture proposes one, or name modules with --module."
        ) from error
    except Exception as error:
        if any(word in str(error).lower() for word in _OF_THE_MACHINE):
            raise
        raise BadCheckpointError(
            f"The forward pass of this {model_type!r} model fails ({type(error).__name__}: {error}): its configuration "
            "may not fit it."
        ) from error


class TappedModel(ABC):
    """A model that can be read. Engines differ in `_read` only; what may be asked of them is checked here."""

    def __init__(self, model: PreTrainedModel, modules: Sequence[str] = ()) -> None:
        from transformers import PreTrainedModel

        from phasescope.hooks.lookup import get_architecture

        if not isinstance(model, PreTrainedModel):
            raise PhasescopeError(
                f"What can be tapped is a model of transformers, as checkpoint.model() gives; this is a "
                f"{type(model).__name__}."
            )
        self.model = model
        # A base model, without a head, has other paths than those that are named.
        whole = None if model.base_model is model else model
        self.architecture = get_architecture(model.config, modules, whole)
        self.heads = self.architecture.heads(model.config)
        self.n_layers: int = model.config.num_hidden_layers
        self._heads = [self.architecture.heads(model.config, layer) for layer in range(self.n_layers)]
        self.d_model: int = model.config.hidden_size
        self._orders: dict[tuple[Site, ...], tuple[Site, ...]] = {}

    @property
    def device(self) -> device:
        """Where the model is, and so where readings are."""
        here: device = self.model.get_input_embeddings().weight.device
        return here

    def heads_in(self, layer: int) -> Heads | None:
        """The heads of one layer's attention, whose size may be that layer's own; None where there is none."""
        return self._heads[layer]

    def components(self) -> tuple[str, ...]:
        """The components that this model has, in the order of the network."""
        return self.architecture.components

    def read(
        self,
        tokens: Int[Tensor, "batch context"],
        positions: Int[Tensor, "batch k"] | None = None,
        sites: str | Sequence[Site | str] = (),
        *,
        final_hidden: bool = False,
        split: bool = False,
    ) -> Reading:
        """Run one batch and keep the sites at `positions`, which may differ from sequence to sequence; None: at all.

        sites: components (`"mlp_out"`: of every layer that has it) or single sites (`"L3.mlp_out"`), one or several.
        split: leave what heads write (`ov_out`) as two factors, multiplied when it is asked for: before weights change.

        Sampling happens on the model's device at the moment a site is reached. The forward pass ends as soon as
        nothing that is wanted is left to come, and never makes logits. No gradients.

        Raises ValueError for shapes that do not fit or positions outside the context, PhasescopeError for a site
        or token that this model does not have, or a module that was named and does not give one vector a position,
        BadCheckpointError where the model's own forward pass fails.
        """
        import torch

        if positions is None and tokens.ndim == 2:
            positions = torch.arange(tokens.shape[1]).expand(tokens.shape)
        wanted = self._sites((sites,) if isinstance(sites, str) else sites)
        self._check(tokens, positions, wanted)
        assert positions is not None
        tokens, positions = tokens.to(self.device, torch.int64), positions.to(self.device, torch.int64)
        if not wanted and not final_hidden:
            return Reading({})
        with torch.no_grad(), self.architecture.while_read(self.model), _in_a_sentence(self.architecture.model_type):
            reading = self._read(tokens, positions, self._in_order(tuple(dict.fromkeys(wanted))), final_hidden)
            return reading if split else Reading(dict(reading.activations), reading.final_hidden)

    def _sites(self, wanted: Sequence[Site | str]) -> list[Site]:
        found: list[Site] = []
        for one in wanted:
            found += self.architecture.select([one], self.n_layers) if isinstance(one, str) else [one]
        return found

    def _in_order(self, sites: tuple[Site, ...]) -> tuple[Site, ...]:
        """The sites in the order of the forward pass; of those that are named by module path this has to be seen."""
        from phasescope.hooks.positions import in_order_reached

        if sites not in self._orders:
            if any(site.component in self.architecture.named for site in sites):
                self._orders[sites] = in_order_reached(self.model, self.architecture, sites, self.device)
            else:
                self._orders[sites] = tuple(sorted(sites, key=self.architecture.reached))
        return self._orders[sites]

    @abstractmethod
    def _read(
        self,
        tokens: Int[Tensor, "batch context"],
        positions: Int[Tensor, "batch k"],
        sites: tuple[Site, ...],
        final_hidden: bool,
    ) -> Reading: ...

    def weights(self) -> dict[str, Tensor]:
        """Every weight matrix, named and shaped as TransformerLens does, as views wherever that is possible.

        `blocks.3.attn.W_Q`, `W_K`, `W_V` `[heads, d_model, d_head]` (keys and values that heads share are repeated
        for each), `blocks.3.attn.W_O` `[heads, d_head, d_model]`, `blocks.3.mlp.W_in` `[d_model, d_mlp]`, of gated MLPs
        `blocks.3.mlp.W_gate` too, `blocks.3.mlp.W_out` `[d_mlp, d_model]`, `embed.W_E` `[vocabulary, d_model]`,
        `unembed.W_U` `[d_model, vocabulary]`; of Mamba `blocks.3.mixer.in_proj`, … `[in, out]`. They are the
        model's raw weights: nothing is folded or centred.
        """
        with _in_a_sentence(self.architecture.model_type):
            return self.architecture.weights(self.model)

    def _check(self, tokens: Tensor, positions: Tensor | None, sites: Sequence[Site]) -> None:
        if self.model.training:
            raise ValueError("the model is in training mode, where dropout changes what is read: call model.eval()")
        if positions is None or tokens.ndim != 2 or positions.ndim != 2 or len(tokens) != len(positions):
            raise ValueError(
                f"tokens must be [batch, context] and positions [batch, k]: these are {tuple(tokens.shape)} and "
                f"{None if positions is None else tuple(positions.shape)}"
            )
        if tokens.is_floating_point() or tokens.is_complex():
            raise ValueError(f"tokens are numbers of the vocabulary, whole ones: these are {tokens.dtype}")
        if tokens.numel() == 0 or positions.numel() == 0:
            raise ValueError(f"nothing to read: tokens {tuple(tokens.shape)}, positions {tuple(positions.shape)}")
        context = tokens.shape[1]
        if int(positions.min()) < 0 or int(positions.max()) >= context:
            raise ValueError(
                f"positions go from {int(positions.min())} to {int(positions.max())}, the context has {context} tokens"
            )
        rows = self.model.config.vocab_size
        if int(tokens.min()) < 0 or int(tokens.max()) >= rows:
            raise PhasescopeError(
                f"The model has {rows} rows for tokens, but the inputs hold token {int(tokens.max())}: "
                f"they were made with another tokenizer. Freeze the inputs with this model's own tokenizer."
            )
        for site in sites:
            self.architecture.check_component(site.component)
            if site.layer >= self.n_layers:
                raise PhasescopeError(
                    f"There is no {site.short} in a model of {counted(self.n_layers, 'layer')}. "
                    f"{nearest_number(site.layer, range(self.n_layers))}"
                )
            self.architecture.check_site(site)
