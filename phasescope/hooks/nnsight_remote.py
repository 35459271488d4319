"""Reading a model on NDIF, the remote service of nnsight: the weights stay there, what is sampled comes back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.hooks.engine import TappedModel
from phasescope.hooks.ndif import explained
from phasescope.hooks.on_server import predicting, sampling
from phasescope.hooks.output import output_embeddings, require_agreement, unembedding_of
from phasescope.hooks.routing import Chosen
from phasescope.hooks.sampling import Reading
from phasescope.hooks.sites import Site
from phasescope.hooks.tap import ByHead, Tap
from phasescope.hooks.twins import one_expert_at_a_time

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor, device
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedTokenizerFast

    from phasescope.hooks.architecture import Architecture, Attention
    from phasescope.hooks.projections import Heads


@dataclass(frozen=True)
class Asked:
    """Of which tokens' probability is asked.

    rows: which final hidden states predict them: `sequence * context + position`.
    tokens: the tokens.
    vocabulary: entries of the vocabulary that count.
    """

    rows: Int[Tensor, "n"]
    tokens: Int[Tensor, "n"]
    vocabulary: int


@dataclass(frozen=True)
class Predicted:
    """In nats, of every token asked for."""

    surprisal: Float[Tensor, "n"]
    entropy: Float[Tensor, "n"]


def check_remote(architecture: Architecture) -> None:
    """Raise PhasescopeError if models of an architecture cannot be read on a server as they were trained."""
    if architecture.while_read is not one_expert_at_a_time:
        raise PhasescopeError(
            f"{architecture.model_type} models are changed when they are evaluated, and on a server that cannot be "
            "undone: capture them without --remote."
        )


class RemoteModel(TappedModel):
    """A model on a server, read through traces that are sent there.

    The block of a trace runs where phasescope is not installed: see `phasescope.hooks.on_server`.
    """

    def __init__(
        self,
        repository: str,
        revision: str | None,
        config: PretrainedConfig,
        tokenizer: PreTrainedTokenizerFast,
        *,
        modules: Sequence[str] = (),
        patterns: bool = False,
        server: bool | str = True,
    ) -> None:
        """Make the model without weights. Nothing is sent, but the hub is asked for the repository's own name.

        patterns: whether patterns of attention will be read, which fused attention does not form.
        server: True, or the address of one (`local`: none; the trace is made ready to be sent, and run here).
        """
        from nnsight import TransformersModel

        from phasescope.hooks.lookup import get_architecture

        architecture = get_architecture(config, modules)
        check_remote(architecture)
        with warnings.catch_warnings():
            # Of modules called as what nnsight serves on every module: they are found by their paths here.
            warnings.filterwarnings("ignore", message=".*has a submodule named")
            self._root = TransformersModel(
                repository,
                revision=revision,
                task="fill-mask" if architecture.masked else "text-generation",
                config=config,
                tokenizer=tokenizer,
                **({"attn_implementation": "eager"} if patterns else {}),
            )
        super().__init__(self._root._module.eval(), modules)
        self._server = server
        if server != "local":
            # Each trace needs it; what goes wrong here is the hub's doing, not the server's.
            self._root.to_model_key()
        self._envoys: dict[str, Any] = {path.partition(".")[2]: envoy for path, envoy in self._root.modules(names=True)}

    @property
    def device(self) -> device:
        """Where readings are: here."""
        import torch

        return torch.device("cpu")

    def weights(self) -> dict[str, Tensor]:
        """They stay on the server: raises PhasescopeError."""
        raise PhasescopeError("The weights of a model that is read remotely stay on the server.")

    def _read(self, tokens: Tensor, positions: Tensor, sites: tuple[Site, ...], final_hidden: bool) -> Reading:
        if final_hidden:
            raise ValueError("final hidden states stay on the server: ask for what they predict, with read_predicting")
        return self.read_predicting(tokens, positions, sites, None)[0]

    def read_predicting(
        self,
        tokens: Int[Tensor, "batch context"],
        positions: Int[Tensor, "batch k"],
        sites: Sequence[Site],
        asked: Asked | None,
    ) -> tuple[Reading, Predicted | None]:
        """As `read`, and how probable some tokens are: one job on the server, which sends back no more than that.

        Raises PhasescopeError if the server cannot be asked, BadCheckpointError if it cannot run this job.
        """
        self._check(tokens, positions, sites)
        ordered = self._in_order(tuple(dict.fromkeys(sites)))
        with explained(self._root.repo_id, self._root.revision):
            found, predicted = self._run(tokens, positions, ordered, asked)
        reading = Reading(dict(zip(ordered, found, strict=True)))
        if predicted is None:
            return reading, None
        surprisal, entropy, off = predicted
        require_agreement(self.model, off)
        return reading, Predicted(surprisal, entropy)

    def components(self) -> tuple[str, ...]:
        """Those that need no matrices of experts."""
        sites = {name: self.architecture.select([name], self.n_layers) for name in super().components()}
        return tuple(name for name, each in sites.items() if not any(map(self._needs_experts, each)))

    def _needs_experts(self, site: Site) -> bool:
        return isinstance(self.architecture.in_layer(site.layer).taps[site.component], Chosen)

    def _check(self, tokens: Tensor, positions: Tensor | None, sites: Sequence[Site]) -> None:
        super()._check(tokens, positions, sites)
        for site in sites:
            if self._needs_experts(site):
                raise PhasescopeError(
                    f"{site} is computed with matrices of experts, which stay on the server: leave it out, or leave "
                    "--remote out."
                )

    def _in_order(self, sites: tuple[Site, ...]) -> tuple[Site, ...]:
        # A trace must ask for values in the order in which the model makes them; nothing can be tried out here.
        return tuple(sorted(sites, key=self.architecture.reached))

    def _run(
        self, tokens: Tensor, positions: Tensor, sites: Sequence[Site], asked: Asked | None
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor, float] | None]:
        import torch
        from nnsight import save

        root, plans, take, predict = self._root, [self._plan(site) for site in sites], sampling(), predicting()
        context, places = tokens.shape[1], positions.flatten()
        sequences = torch.arange(len(tokens)).repeat_interleave(positions.shape[1])
        predicts, question = asked is not None, self._question(asked) if asked else ()
        # Only what is named in the block is sent.
        with root.trace(tokens, use_cache=False, remote=self._server) as tracer:
            found = save([take(plan, sequences, places, context) for plan in plans])
            if predicts:
                found.append(predict(*question, lambda: root.output))
            else:
                tracer.stop()
        return found[: len(sites)], found[-1] if predicts else None

    def _question(self, asked: Asked) -> tuple[Any, ...]:
        """What `predict` needs to know, in plain values."""
        made, head = unembedding_of(self.model), output_embeddings(self.model)
        path = next(path for path, module in self.model.named_modules() if module is head)
        return self._envoys[path], asked.rows, asked.tokens, asked.vocabulary, made.scale, made.softcap

    def _plan(self, site: Site) -> dict[str, Any]:
        """What `take` needs to know of a site, in plain values."""
        from transformers.pytorch_utils import Conv1D

        entry = self.architecture.in_layer(site.layer)
        tap, attention = entry.taps[site.component], entry.attention
        own = self.architecture.path(self.model, site.layer, tap)
        plan = {
            "module": self._envoys[own],
            "by_head": isinstance(tap, ByHead),
            "path": own,
            "named": site.component in self.architecture.named,
            "side": tap.side,
            "item": tap.item,
            "by": getattr(tap, "by", None),
            "scale": getattr(self.architecture.modules(self.model)[site.layer], tap.scale) if tap.scale else 1,
            "component": site.component,
            "heads": self.heads.count if self.heads else 0,
        }
        heads = self.heads_in(site.layer)
        if site.component != "ov_out" or attention is None or heads is None:
            return plan
        path = self.architecture.path(self.model, site.layer, Tap(attention.output, "output"))
        return {
            **plan,
            "columns": self._columns_of_values(attention, heads, plan["module"]._module),
            "clip": heads.clip,
            "output": self._envoys[path],
            "transposed": not isinstance(self.model.get_submodule(path), Conv1D),
        }

    def _columns_of_values(self, attention: Attention, heads: Heads, module: Module) -> Int[Tensor, "heads d_head"]:
        """Where each query head's values are in what the tap of `ov_out` shows: in what comes out of that module."""
        import torch
        from transformers.pytorch_utils import Conv1D

        weight = getattr(module, "weight", None)
        # A norm of every head's values has no width of its own.
        width = heads.key_values * heads.size if weight is None else weight.shape[isinstance(module, Conv1D)]
        return attention.projections.values(torch.arange(width)[None], replace(heads, clip=None))[0]
