"""What is to be recorded, as a plain value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phasescope.errors import PhasescopeError, did_you_mean

# What is recorded of a model unless it is said, as far as the model has it.
DEFAULT_SITES = ("attn_out", "mlp_out", "ov_out", "mixer_out")
STORAGE = ("float32", "float16")


@dataclass(frozen=True)
class Probes:
    """What a visit records of every checkpoint, and with what.

    sites: components (`mlp_out`: of every layer) or single sites (`L3.mlp_out`, `blocks.3.hook_mlp_out`); None: what
        attention, its heads and the MLP (or Mamba's mixer) write, or the sites that `modules` name.
    outputs: surprisal and entropy of the next token.
    compare_seeds: keep the final hidden states, from which a cohort's KL is computed.
    keep_weights: keep the weight matrices themselves; their singular values are always kept.
    engine: `torch`, `transformer_lens` or `nnsight`.
    device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
    dtype: what the model computes in; None: what its checkpoint is in.
    storage: what activations and hidden states are kept in; an array that overflows float16 is kept in float32.
    batch: sequences in one forward pass; None: 8 on a CPU, 32 elsewhere.
    modules: sites named by module path, `model.layers.{layer}.mlp=mlp_out`, for architectures that are not known.
    remote: read the models on NDIF (engine `nnsight`): sites, surprisal and entropy; no weights, no KL between seeds.
    """

    sites: tuple[str, ...] | None = None
    outputs: bool = True
    compare_seeds: bool = True
    keep_weights: bool = False
    engine: str = "torch"
    device: str = "auto"
    dtype: str | None = None
    storage: str = "float32"
    batch: int | None = None
    modules: tuple[str, ...] = ()
    remote: bool = False

    def __post_init__(self) -> None:
        from phasescope.hooks import ENGINES
        from phasescope.suites.load import DTYPES

        if self.engine not in ENGINES:
            raise PhasescopeError(f"There is no engine {self.engine!r}. {did_you_mean(self.engine, ENGINES)}")
        if self.storage not in STORAGE:
            raise PhasescopeError(f"Activations cannot be kept in {self.storage!r}. Choose float32 or float16.")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise PhasescopeError(f"Models cannot compute in {self.dtype!r}. {did_you_mean(self.dtype, DTYPES)}")
        if self.batch is not None and self.batch < 1:
            raise PhasescopeError(f"A batch has at least one sequence, not {self.batch}. Choose --batch 8, say.")
        if self.remote:
            self._check_remote()

    def _check_remote(self) -> None:
        if self.engine != "nnsight":
            raise PhasescopeError(f"The engine {self.engine!r} cannot read remotely: add --engine nnsight.")
        if self.keep_weights:
            raise PhasescopeError("Remotely read models keep their weights on the server: leave out --keep-weights.")
        if self.dtype is not None or self.device != "auto":
            raise PhasescopeError(
                "What a remotely read model computes in, and on what, is for the server to say: leave out --dtype and "
                "--device."
            )

    @property
    def reader(self) -> str:
        """What reads the models, for people."""
        return f"{self.engine} on NDIF" if self.remote else self.engine

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
