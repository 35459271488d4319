"""One layer of a run, over all its seeds and steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.analyses import kept_table
from phasescope.errors import PhasescopeError, did_you_mean, nearest_number

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure
    from torch import Tensor

    from phasescope.reports.live.results import LiveResults
    from phasescope.run.held import Held


@dataclass(frozen=True)
class Layer:
    """One component of one layer in one size of model, over all seeds and steps of a run."""

    run: Held
    size: str
    layer: int
    component: str
    head: int | None = None

    def __post_init__(self) -> None:
        from phasescope.hooks import COMPONENTS, Site

        site = Site(self.layer, self.component) if self.component in COMPONENTS else None
        recorded = [Site.parse(name) for name in self.run.reader.recorded(self._keys[-1])]
        if site in recorded:
            self._require_head()
            return
        components = sorted({known.component for known in recorded})
        if self.component not in components:
            raise PhasescopeError(
                f"This run did not record {self.component!r} of {self.size}. {did_you_mean(self.component, components)}"
            )
        layers = {known.layer for known in recorded if known.component == self.component}
        raise PhasescopeError(
            f"There is no layer {self.layer} of {self.component} in {self.size}. {nearest_number(self.layer, layers)}"
        )

    def _require_head(self) -> None:
        """Raise `PhasescopeError` for a head that is not there, with the nearest."""
        if self.head is None:
            return
        with self.run.folder.open_shard(self._keys[-1]) as shard:
            shape = shard.shape(f"activations/{self.site}")
        if len(shape) < 3 or self._of_experts:
            raise PhasescopeError(f"{self.component} has no heads: leave out the head.")
        if not 0 <= self.head < shape[1]:
            raise PhasescopeError(f"{self.site} has no head {self.head}. {nearest_number(self.head, range(shape[1]))}")

    @property
    def _keys(self) -> list[Any]:
        return [key for key in self.run.reader.keys if key.size == self.size]

    @property
    def _of_experts(self) -> bool:
        """Whether it has an axis of the experts chosen, and one place is another expert's from token to token."""
        from phasescope.hooks import Site

        if "heads" in Site(self.layer, self.component).shape:
            return False
        with self.run.folder.open_shard(self._keys[-1]) as shard:
            return len(shard.shape(f"activations/{self.site}")) > 2

    @property
    def site(self) -> str:
        """The full name, as TransformerLens writes it: `blocks.3.hook_mlp_out`."""
        from phasescope.hooks import Site

        return Site(self.layer, self.component).name

    def activations(self, seed: int, step: int, *, heads: bool = False) -> Tensor:
        """`[samples, d]`: one row per sampled position; one head's part if the layer was opened with `head`.

        heads: of `ov_out` each head's part, `[samples, heads, d_model]`, instead of their sum. `z` and `pattern` have
            no sum: their heads are an axis in any case, `[samples, heads, d_head]` and `[samples, heads, context]`.
            Of `expert_out` and a mixture's `mlp_post` the experts chosen are: `[samples, chosen, d]`.

        Raises `PhasescopeError` for a seed or step that is not there, with the nearest; for heads of a component that
        has none.
        """
        import torch

        from phasescope.store import recorded_site

        with self.run.folder.open_shard(self.run.reader.key(self.size, seed, step)) as shard:
            found = recorded_site(shard, self.site)
        if self.head is not None:
            return torch.from_numpy(found.head(self.head))
        if heads and (found.values.ndim < 3 or self._of_experts):
            raise PhasescopeError(f"{self.component} has no heads: leave out heads=True.")
        summed = self.component == "ov_out" and not heads
        return torch.from_numpy(found.total() if summed else found.whole())

    def weight(self, weight: str, seed: int, step: int) -> Tensor:
        """A weight matrix of this layer (`W_out`, `W_O`), named and shaped as TransformerLens has it, float32.

        `W_in` `[d_model, d_mlp]`, `W_out` `[d_mlp, d_model]`, `W_Q` `[heads, d_model, d_head]`, `W_O`
        `[heads, d_head, d_model]`; one head's part if the layer was opened with `head`.

        Raises `PhasescopeError` for a name, seed or step that is not there, with the nearest; for a run that keeps no
        matrices (`capture(…, keep_weights=True)` does).
        """
        return self._of_weights("weights", weight, seed, step)

    def spectrum(self, weight: str, seed: int, step: int) -> Tensor:
        """Singular values of a weight matrix or circuit (`W_out`, `OV`) of this layer, descending, float64.

        `[k]`, or `[heads, k]` where there are heads; one head's if the layer was opened with `head`. They are always
        kept, but for models that are read on a server.

        Raises `PhasescopeError` for a name, seed or step that is not there, with the nearest.
        """
        return self._of_weights("spectra", weight, seed, step)

    def _of_weights(self, kind: str, weight: str, seed: int, step: int) -> Tensor:
        import torch

        with self.run.folder.open_shard(self.run.reader.key(self.size, seed, step)) as shard:
            marks = {name: shard.attrs_of(name) for name in shard.names(kind)}
            names = {str(own["component"]): name for name, own in marks.items() if own.get("layer") == self.layer}
            if not names:
                kept = "A capture with --keep-weights keeps them; ps.tap(checkpoint.model()).weights() reads them."
                why = kept if kind == "weights" else "Models that are read on a server keep theirs there."
                raise PhasescopeError(f"{self.run.path} keeps no {kind} of layer {self.layer}. {why}")
            if weight not in names:
                raise PhasescopeError(f"Layer {self.layer} has no {weight!r}. {did_you_mean(weight, names)}")
            values = torch.from_numpy(shard.read(names[weight]))
        if self.head is None or values.ndim < (2 if kind == "spectra" else 3) or ".experts." in names[weight]:
            return values
        return values[self.head]

    def convergence(self) -> DataFrame:
        """Tidy table: seed, step, cka, low, high, the debiased estimate, and the CKA of texts that do not match."""
        columns = ["seed", "step", "cka", "low", "high", "cka_debiased", "debiased_low", "debiased_high", "shuffled"]
        columns.append("reason")
        return self._mine(self.run.convergence())[columns].reset_index(drop=True)

    def settling(self) -> DataFrame:
        """Tidy table: seed, tau, settling_step (missing: never), low, high, settling_fraction, and its baselines.

        These are CKA at the first step and that of texts that do not match: without `moved` the step means nothing,
        and `reason` says why.
        """
        columns = ["seed", "tau", "settling_step", "low", "high", "settling_fraction", "last_step", "first_step"]
        columns += ["first_cka", "first_low", "first_high", "shuffled", "moved", "reason"]
        return self._mine(self.run.settling())[columns].reset_index(drop=True)

    def effective_rank(self, weight: str | None = None) -> DataFrame:
        """Tidy table: seed, step, head, effective_rank, proportional.

        weight: of a weight matrix or circuit of this layer (`W_out`, `OV`); None: of the layer's activations.
        """
        table = self.run.effective_rank()
        here = table[(table["size"] == self.size) & (table["layer"] == self.layer)]
        name = weight or self.component
        found = here[here["component"] == name]
        if found.empty:
            raise PhasescopeError(
                f"Layer {self.layer} has no {name!r}. {did_you_mean(name, here['component'].unique())}"
            )
        if self.head is not None:
            found = found[found["head"] == self.head]
        elif weight is None:
            found = found[found["head"].isna()]
        columns = ["seed", "step", "head", "effective_rank", "proportional"]
        return found[columns].sort_values(["seed", "step", "head"]).reset_index(drop=True)

    def plot(self, *, axis: str | None = None) -> Figure:
        """A plotly figure: CKA to the final state along training, one line per seed with its interval.

        axis: `"tokens"`: counted in tokens, as of `run.report`.
        """
        from phasescope.counting import showing
        from phasescope.reports import layer_figure
        from phasescope.reports.kit.gaps import gaps
        from phasescope.reports.kit.shown import as_shown
        from phasescope.reports.kit.stages import staged
        from phasescope.reports.kit.tokens_read import counting_of

        with showing(counting_of(self.run.manifest, axis)):
            table = as_shown("convergence", self.convergence().assign(size=self.size))
            drawn = layer_figure(table, str(self))
            return staged(drawn, self.run.manifest, self.size, gaps(self.run.reader, self.size)).plotly()

    def live(
        self,
        text: str,
        *,
        seeds: Sequence[int] | None = None,
        steps: str | Sequence[int] = "all",
        suite: str | None = None,
        **reading: Any,
    ) -> LiveResults:
        """Read a text with the run's checkpoints, up to this layer, now; see `phasescope.probe_live`.

        suite: the checkpoints, where they are on the hub or have moved.
        """
        from phasescope.hooks import Site
        from phasescope.reports.live.results import probe_live_of

        site = Site(self.layer, self.component).short
        return probe_live_of(
            self.run.manifest, text, site, suite=suite, size=self.size, seeds=seeds, steps=steps, head=self.head,
            **reading,
        )  # fmt: skip

    def _repr_html_(self) -> str:
        from phasescope.reports.notebook import layer_html

        known = (kept_table(self.run.reader, name) for name in ("convergence", "settling"))
        return layer_html(str(self), *(None if table is None else self._mine(table) for table in known))

    def _mine(self, table: DataFrame) -> DataFrame:
        from phasescope.hooks.sites import OF_EXPERTS

        if self._of_experts:
            raise PhasescopeError(f"{self.site} {OF_EXPERTS}")
        here = table[(table["size"] == self.size) & (table["site"] == self.site)]
        return here[here["head"].isna() if self.head is None else here["head"] == self.head]

    def __str__(self) -> str:
        return (
            f"L{self.layer}.{self.component}"
            + (f" head {self.head}" if self.head is not None else "")
            + f" of {self.size}"
        )
