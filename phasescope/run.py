"""The public face of a run on disk: `open_run(...).layer(3, "mlp_out").convergence()`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.analyses import Options, RunReader, analyse, kept_table, table
from phasescope.errors import PhasescopeError, did_you_mean, nearest_number
from phasescope.store import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame
    from plotly.graph_objects import Figure
    from torch import Tensor

    from phasescope.reports.live_results import LiveResults
    from phasescope.suites import Suite
    from phasescope.texts import Inputs
    from phasescope.visits.importing import Imported


def open_run(path: str | Path) -> Run:
    """Open a run on disk.

    Raises `PhasescopeError` where there is none, or one in a newer format.

    >>> import phasescope as ps
    >>> run = ps.open_run("runs/demo")  # doctest: +SKIP
    >>> run.layer(1, "mlp_out", size="0.4m").convergence()  # doctest: +SKIP
    """
    return Run(Path(path))


def capture(
    suite: str | Path | Suite,
    texts: str | Path | None = None,
    out: str | Path = "runs/run",
    *,
    sizes: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    steps: str | Sequence[int] = "all",
    sequences: int = 128,
    context: int | None = None,
    output_sequences: int = 18,
    positions: str | int = "last",
    seed: int = 0,
    cache_limit: str | int | None = None,
    behaviour: str | Sequence[str] = (),
    compare: str | Sequence[str] = (),
    **probes: Any,
) -> Run:
    """Visit every checkpoint of `suite`, record it into the run `out`, return the run. Resumes by itself.

    suite: a folder, a preset (`polypythia`), a repository on the hub (`EleutherAI/pythia-160m`), or a `Suite`.
    texts: a .txt, .jsonl or .conllu file, `docs`, or a data set on the hub; None: the suite's own held-out text where
        it has one, else `docs`.
    cache_limit: what may be kept in the hub's cache of what is fetched for this capture, as bytes or as `"50GB"`;
        checkpoints that were visited make room for others. None: everything is kept.
    behaviour: what else the models are asked: `"minimal_pairs"` (a small set of ours), `"minimal_pairs=FILE"` (one of
        BLiMP's, or a folder of them), `"noise"`, `"multiple_choice=TASK"`, `"all"`, or several of these.
    compare: beside seeds, compare `steps` (each with the last and the one before), `sizes`, or both.
    probes: see `phasescope.probes.Probes`: `sites=("attn_out", "mlp_out")`, `engine="torch"`, `device="auto"`,
        `gradients="inputs"`, …

    Raises `PhasescopeError`; a single bad checkpoint is recorded (`run.manifest["failed"]`) and passed over.
    """
    from phasescope.probes import Probes
    from phasescope.suites import open_suite
    from phasescope.suites.room import bytes_in
    from phasescope.visits import Request, capture_into

    for several in ("sites", "modules"):
        if probes.get(several) is not None:
            given = probes[several]
            probes[several] = tuple(given.split(",")) if isinstance(given, str) else tuple(given)
    request = Request(
        texts=None if texts is None else str(texts),
        sequences=sequences,
        context=context,
        output_sequences=output_sequences,
        positions=positions,
        seed=seed,
        probes=Probes(**probes),
        behaviour=_several(behaviour),
    )
    chosen = open_suite(suite).select(sizes=sizes, seeds=seeds, steps=steps)
    limit = None if cache_limit is None else bytes_in(cache_limit)
    across = compare.split(",") if isinstance(compare, str) else compare
    capture_into(chosen, RunFolder(Path(out)), request, limit, across)
    return open_run(out)


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


class Run:
    """A run on disk: its shards, and the tables computed from them (made when first asked for, then kept)."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path)
        self.reader = RunReader(self.folder)

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def manifest(self) -> dict[str, Any]:
        """What was asked for and with what, as in `run.json`."""
        return self.reader.manifest

    @property
    def inputs(self) -> Inputs:
        """What the models read: tokens, sampled positions, words, tags, counts."""
        return self.reader.inputs

    @property
    def sizes(self) -> list[str]:
        return self.reader.sizes

    def seeds(self, size: str | None = None) -> list[int]:
        return self.reader.seeds(self.reader.size(size))

    def steps(self, size: str | None = None, seed: int | None = None) -> list[int]:
        return self.reader.steps(self.reader.size(size), seed)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {len(self.reader.keys)} checkpoints of {self.manifest['family']})"

    def _repr_html_(self) -> str:
        from phasescope.reports.notebook import run_html

        return run_html(self)

    def visit(
        self,
        behaviour: str | Sequence[str],
        *,
        suite: str | Path | Suite | None = None,
        cache_limit: str | int | None = None,
        **probes: Any,
    ) -> None:
        """Ask every captured checkpoint for behaviour that it was not asked for yet: as `capture(…, behaviour=…)`.

        suite: where the checkpoints are, if they are no longer where they were.
        probes: `engine="torch"`, `device="auto"`, `batch=8`.

        Raises `PhasescopeError`; a single bad checkpoint is recorded (`run.manifest["failed"]`) and passed over.
        """
        from phasescope.probes import Probes
        from phasescope.suites.room import bytes_in
        from phasescope.visits import revisit

        limit = None if cache_limit is None else bytes_in(cache_limit)
        place = str(suite) if isinstance(suite, Path) else suite
        revisit(self.folder, _several(behaviour), Probes(**probes), place, limit)
        self.reader = RunReader(self.folder)

    def analyse(self, *names: str, options: Options | None = None, csv: bool = False) -> dict[str, DataFrame]:
        """Run the named analyses (none named: all) and keep their tables in `results/`."""
        return analyse(self.reader, names, options, csv=csv)

    def table(self, name: str) -> DataFrame:
        """A result table by its name; computed if it is not there or was made of other shards.

        A table that was computed with options of the user's own is kept.
        """
        return table(self.reader, name)

    def compare(self, *across: str, suite: str | None = None, device: str = "auto") -> None:
        """Compare the models of this run across `steps` and `sizes` (both unless named), for `run.table("kl_across")`.

        The checkpoints are needed again; `suite` says where they are if they have moved. No model is run.
        """
        from phasescope.visits import compare_run

        compare_run(self.folder, across or ("steps", "sizes"), suite=suite, device=device)

    def convergence(self) -> DataFrame:
        """CKA of every site to its final state, per size, seed, step, layer and head, with intervals."""
        return self.table("convergence")

    def settling(self) -> DataFrame:
        """The step from which every site stays at or over τ of its final state, with intervals."""
        return self.table("settling")

    def effective_rank(self) -> DataFrame:
        """Effective and proportional rank of every weight matrix, circuit and site."""
        return self.table("rank")

    def surprisal(self) -> DataFrame:
        """Mean surprisal (nats per token), perplexity and entropy per size, seed and step, with intervals."""
        return self.table("surprisal")

    def seed_divergence(self) -> DataFrame:
        """Expected KL between seeds (nats) per size and step, with intervals."""
        return self.table("seeds")

    def gradients(self) -> DataFrame:
        """Norm, ratio to the weight, rank and cosines of every site's gradient; empty if none was captured."""
        return self.table("gradients")

    def against_perplexity(
        self, table: str | DataFrame, value: str, *, low: str = "low", high: str = "high", by: Sequence[str] = ()
    ) -> DataFrame:
        """Any tidy table with size and step, ours by its name or your own, against validation perplexity.

        by: columns that tell curves of one size and seed apart, such as `site` and `head` in `convergence`. More, and
        what is raised: `phasescope.analyses.behaviour.table_against_perplexity`.
        """
        from phasescope.analyses.behaviour import table_against_perplexity

        chosen = self.table(table) if isinstance(table, str) else table
        return table_against_perplexity(chosen, self.surprisal(), value, low=low, high=high, by=by)

    def heuristics(self) -> DataFrame:
        """Correlation of predictions with n-grams and similarity per size, seed and step, with intervals."""
        return self.table("heuristics")

    def agreement(self) -> DataFrame:
        """How alike the predictions of seeds and sizes are per step: correlations with intervals."""
        return self.table("agreement")

    def minimal_pairs(self) -> DataFrame:
        """Accuracy and margin on minimal pairs per paradigm, method, size, seed and step, with intervals."""
        return self.table("minimal_pairs")

    def noise(self) -> DataFrame:
        """Perplexity of corrupted and decoded text per size, seed and step, and its ratio to clean, with intervals."""
        return self.table("noise")

    def multiple_choice(self) -> DataFrame:
        """Accuracy and option perplexity per task, size, seed and step, with intervals."""
        return self.table("multiple_choice")

    def in_context_learning(self) -> DataFrame:
        """Loss late in the context minus loss early in it per size, seed and step, with intervals."""
        return self.table("in_context_learning")

    def phases(self) -> DataFrame:
        """The phases of each behavioural curve per size and seed, and of the mean of the seeds, with intervals."""
        return self.table("phases")

    def evaluations(self) -> DataFrame:
        """What was measured elsewhere and imported, or by `phasescope evaluate`; empty where nothing was."""
        return self.table("evaluations")

    def import_results(self, *files: str | Path, **options: Any) -> Imported:
        """Keep results of lm-evaluation-harness, or tables with a column of steps, that are of this run's checkpoints.

        options, and what is raised: `phasescope.visits.importing.import_into`.
        """
        from phasescope.visits.importing import import_into

        return import_into(self.folder, files, **options)

    def link(self) -> DataFrame:
        """Which share of each layer's moving falls into each behavioural phase.

        Its other tables: `run.table("link_lags")`, `"link_rank"` and `"first_fifth"`.
        """
        return self.table("link_shares")

    def layer(self, layer: int, component: str, size: str | None = None, head: int | None = None) -> Layer:
        """One place in one size of model; `size` may be left out where there is only one.

        Raises `PhasescopeError` where the run does not hold it, with the nearest there is.
        """
        return Layer(self, self.reader.size(size), layer, component, head)

    def report_markdown(self, path: str | Path | None = None, *, figures: Sequence[Path] = ()) -> Path:
        """Write the report as Markdown (default: `report/report.md` in the run) and return where it is.

        `figures`: files that `figures` made; they are linked.
        """
        from phasescope.reports import write_markdown

        return write_markdown(self, Path(path) if path else self.path / "report" / "report.md", figures)

    def figures(self, kind: str = "svg", folder: str | Path | None = None) -> list[Path]:
        """Write every figure of the report as `svg`, `pdf` or `png` (default: to `report/figures` in the run)."""
        from phasescope.reports import write_figures

        return write_figures(self, Path(folder) if folder else self.path / "report" / "figures", kind)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the HTML report (default: `report/index.html` in the run) and return where it is."""
        from phasescope.reports import write_report

        return write_report(self, Path(path) if path else self.path / "report" / "index.html")


@dataclass(frozen=True)
class Layer:
    """One component of one layer in one size of model, over all seeds and steps of a run."""

    run: Run
    size: str
    layer: int
    component: str
    head: int | None = None

    def __post_init__(self) -> None:
        from phasescope.hooks import COMPONENTS, Site

        site = Site(self.layer, self.component) if self.component in COMPONENTS else None
        recorded = [Site.parse(name) for name in self.run.reader.sites(self._keys[-1])]
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
        if len(shape) < 3:
            raise PhasescopeError(f"{self.component} has no heads: leave out the head.")
        if not 0 <= self.head < shape[1]:
            raise PhasescopeError(f"{self.site} has no head {self.head}. {nearest_number(self.head, range(shape[1]))}")

    @property
    def _keys(self) -> list[Any]:
        return [key for key in self.run.reader.keys if key.size == self.size]

    @property
    def site(self) -> str:
        """The full name, as TransformerLens writes it: `blocks.3.hook_mlp_out`."""
        from phasescope.hooks import Site

        return Site(self.layer, self.component).name

    def activations(self, seed: int, step: int) -> Tensor:
        """`[samples, d]`: one row per sampled position; one head's part if the layer was opened with `head`.

        Raises `PhasescopeError` for a seed or step that is not there, with the nearest.
        """
        from phasescope.analyses.reader import read_activations

        with self.run.folder.open_shard(self.run.reader.key(self.size, seed, step)) as shard:
            parts = dict(read_activations(shard, self.site))
        if self.head not in parts:
            heads = [head for head in parts if head is not None]
            raise PhasescopeError(f"{self.site} has no head {self.head}. {nearest_number(self.head or 0, heads)}")
        return parts[self.head]

    def convergence(self) -> DataFrame:
        """Tidy table: seed, step, cka, low, high, and the debiased estimate."""
        columns = ["seed", "step", "cka", "low", "high", "cka_debiased", "debiased_low", "debiased_high", "reason"]
        return self._mine(self.run.convergence())[columns].reset_index(drop=True)

    def settling(self) -> DataFrame:
        """Tidy table: seed, tau, settling_step (missing: never), low, high, settling_fraction."""
        columns = ["seed", "tau", "settling_step", "low", "high", "settling_fraction", "last_step"]
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

    def plot(self) -> Figure:
        """A plotly figure: CKA to the final state along training, one line per seed with its interval."""
        from phasescope.reports import layer_figure

        return layer_figure(self.convergence(), str(self))

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

        suite: the checkpoints, where they have moved.
        """
        from phasescope.hooks import Site
        from phasescope.reports.live_results import probe_live_of

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
        here = table[(table["size"] == self.size) & (table["site"] == self.site)]
        return here[here["head"].isna() if self.head is None else here["head"] == self.head]

    def __str__(self) -> str:
        return (
            f"L{self.layer}.{self.component}"
            + (f" head {self.head}" if self.head is not None else "")
            + f" of {self.size}"
        )
