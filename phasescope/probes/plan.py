"""What is to be recorded, as a plain value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from phasescope.console import counted
from phasescope.errors import BadArgumentError, did_you_mean

# What is recorded of a model unless it is said, as far as the model has it.
DEFAULT_SITES = ("attn_out", "mlp_out", "ov_out", "mixer_out", "router", "routed")
STORAGE = ("float32", "float16")
GRADIENTS = ("inputs", "training")
# Of the updates around a checkpoint: those of steps t − 5 … t + 5, as in "Tending Towards Stability".
AROUND = 5
_GRADIENT_SEQUENCES, _GRADIENT_BATCHES = 32, 8


@dataclass(frozen=True)
class Probes:
    """What a visit records of every checkpoint, and with what.

    sites: components (`mlp_out`: of every layer) or single sites (`L3.mlp_out`, `blocks.3.hook_mlp_out`); None: what
        attention, its heads and the MLP (or Mamba's mixer) write and the router of experts says, or the sites that
        `modules` name.
    outputs: surprisal and entropy of the next token.
    compare_seeds: keep the final hidden states, from which a cohort's KL is computed.
    next_byte: keep the distribution of the next byte of the text too, which other tokenizers can be compared by.
    keep_weights: keep the weight matrices themselves; their singular values are always kept.
    engine: `torch`, `transformer_lens` or `nnsight`.
    device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
    dtype: what the model computes in; None: what its checkpoint is in.
    storage: what activations and hidden states are kept in; an array that overflows float16 is kept in float32.
    batch: sequences in one forward pass; None: 8 on a CPU, 32 elsewhere.
    modules: sites named by module path, `model.layers.{layer}.mlp=mlp_out`, for architectures that are not known.
    gradients: gradients of the next-token loss on the frozen `inputs`, or on the `training` batches of the updates
        around each checkpoint (t − 5 … t + 5; known of suites from the nursery); None: no gradients.
    gradient_sequences, gradient_batches: of the inputs, how many sequences are read, and into how many batches they
        are cut; None: 32 in 8, or as many as there are.
    keep_gradients: keep the gradient matrices themselves; their norms, spectra and sketches are always kept.
    trust_remote_code: run the Python code that comes with a checkpoint.
    probe: names of probes of users' own (`package:name`) that are run in the same pass.
    remote: read the models on NDIF (engine `nnsight`): sites, surprisal and entropy; no weights, no KL between seeds.
    """

    sites: tuple[str, ...] | None = None
    outputs: bool = True
    compare_seeds: bool = True
    next_byte: bool = False
    keep_weights: bool = False
    engine: str = "torch"
    device: str = "auto"
    dtype: str | None = None
    storage: str = "float32"
    batch: int | None = None
    modules: tuple[str, ...] = ()
    trust_remote_code: bool = False
    gradients: str | None = None
    gradient_sequences: int | None = None
    gradient_batches: int | None = None
    keep_gradients: bool = False
    remote: bool = False
    probe: tuple[str, ...] = ()

    @classmethod
    def of(cls, **options: Any) -> Probes:
        """The same, of `sites`, `modules`, `probe` as people write them: joined by commas in one text, or a sequence.

        >>> Probes.of(sites="attn_out,mlp_out").sites
        ('attn_out', 'mlp_out')
        >>> Probes.of(modules="model.layers.{layer:0,4}.conv=mixer_out,model.layers.{layer}=resid_post").modules
        ('model.layers.{layer:0,4}.conv=mixer_out', 'model.layers.{layer}=resid_post')
        """
        for name in {"sites", "modules", "probe"} & options.keys():
            given = options[name]
            if given is not None:
                # Commas inside braces are between layers: `{layer:0,4}`.
                options[name] = tuple(re.split(r",(?![^{]*\})", given)) if isinstance(given, str) else tuple(given)
        return cls(**options)

    def __post_init__(self) -> None:
        from phasescope.hooks.engine import ENGINES, require_engine
        from phasescope.suites.device import DTYPES

        if self.engine not in ENGINES:
            raise BadArgumentError(f"There is no engine {self.engine!r}. {did_you_mean(self.engine, ENGINES)}")
        require_engine(self.engine)
        if self.storage not in STORAGE:
            raise BadArgumentError(f"Activations cannot be kept in {self.storage!r}. Choose float32 or float16.")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise BadArgumentError(f"Models cannot compute in {self.dtype!r}. {did_you_mean(self.dtype, DTYPES)}")
        if self.batch is not None and self.batch < 1:
            raise BadArgumentError(f"A batch has at least one sequence, not {self.batch}. Choose --batch 8, say.")
        if self.next_byte and (self.remote or not self.outputs):
            raise BadArgumentError(
                "The next byte is made of outputs, of models that are read here: leave out --no-outputs and "
                "--remote, or --next-byte."
            )
        if self.remote:
            self._check_remote()
        self._check_gradients()
        if self.probe:
            from phasescope.probes.own import full_probe_name

            object.__setattr__(self, "probe", tuple(dict.fromkeys(map(full_probe_name, self.probe))))

    def _check_remote(self) -> None:
        if self.engine != "nnsight":
            raise BadArgumentError(f"The engine {self.engine!r} cannot read remotely: add --engine nnsight.")
        if self.keep_weights:
            raise BadArgumentError("Remotely read models keep their weights on the server: leave out --keep-weights.")
        if self.probe:
            raise BadArgumentError(
                "Probes of your own get a model, and remotely read ones are elsewhere: leave out --probe."
            )
        if self.gradients is not None or self.trust_remote_code:
            raise BadArgumentError(
                "Remotely read models have no gradients and run no code of their own: leave out --gradients and "
                "--trust-remote-code."
            )
        if self.dtype is not None or self.device != "auto":
            raise BadArgumentError(
                "What a remotely read model computes in, and on what, is for the server to say: leave out --dtype and "
                "--device."
            )

    @property
    def reader(self) -> str:
        """What reads the models, for people."""
        return f"{self.engine} on NDIF" if self.remote else self.engine

    def _check_gradients(self) -> None:
        if self.gradients not in (None, *GRADIENTS):
            raise BadArgumentError(
                f"Gradients cannot be taken on {self.gradients!r}. {did_you_mean(self.gradients, GRADIENTS)}"
            )
        if self.keep_gradients and self.gradients is None:
            raise BadArgumentError("There are no gradients to keep: choose --gradients inputs, or training.")
        if self.gradient_sequences is not None:
            self.gradient_cut(self.gradient_sequences)

    def gradient_cut(self, sequences: int) -> tuple[int, int]:
        """How many of so many sequences are read for gradients, and into how many batches they are cut.

        Raises `BadArgumentError` where that cannot be done.
        """
        usual = max(_GRADIENT_SEQUENCES, self.gradient_batches or 0)
        read = min(usual, sequences) if self.gradient_sequences is None else self.gradient_sequences
        batches = min(_GRADIENT_BATCHES, read) if self.gradient_batches is None else self.gradient_batches
        if read > sequences:
            raise BadArgumentError(
                f"Gradients cannot be taken on {read} of {counted(sequences, 'sequence')}. "
                f"Choose --gradient-sequences from 1 to {sequences}."
            )
        if not 1 <= batches <= read:
            raise BadArgumentError(
                f"{counted(read, 'sequence')} cannot be cut into {counted(batches, 'batch', 'batches')} for gradients. "
                f"Choose --gradient-batches from 1 to {max(read, 1)}."
            )
        return read, batches

    def gradients_asked(self, sequences: int) -> str | None:
        """What gradients are wanted of so many sequences, in words; None: none."""
        if self.gradients is None:
            return None
        kept = ", matrices kept" if self.keep_gradients else ""
        if self.gradients == "training":
            return f"on the training batches of steps t - {AROUND} to t + {AROUND}{kept}"
        read, batches = self.gradient_cut(sequences)
        return f"on {counted(read, 'sequence')} of the inputs in {counted(batches, 'batch', 'batches')}{kept}"

    @property
    def comparing(self) -> bool:
        """Whether final hidden states are kept for comparing seeds."""
        return self.outputs and self.compare_seeds and not self.remote

    def sites_among(self, components: Sequence[str]) -> tuple[str, ...]:
        """The sites wanted of a model that has these components."""
        if self.sites is not None:
            return self.sites
        if self.modules:
            return tuple(dict.fromkeys(text.partition("=")[2].strip() for text in self.modules))
        return tuple(name for name in DEFAULT_SITES if name in components)

    def on(self, device: str) -> int:
        """Sequences in one forward pass on that device."""
        return self.batch or (8 if device == "cpu" else 32)
