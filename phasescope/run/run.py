"""A run on disk: what it holds, and the tables, figures and reports that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.analyses import Options, RunReader, analyse, table, table_if_asked
from phasescope.audit import Finding, audit_run
from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.run.layer import Layer
from phasescope.run.own import Own
from phasescope.store import RunFolder
from phasescope.workers import Workforce

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.suites import Suite
    from phasescope.visits.importing.importing import Imported


def open_run(path: str | Path, out: str | Path | None = None, *, keep_suspect: bool = False) -> Run:
    """Open a run on disk.

    out: where its tables and reports are, and new ones go, if not in the run: one that may only be read.
    keep_suspect: whether what is computed is also of checkpoints that certainly are not what their names say
        (`run.audit()`); they are left out otherwise.

    Raises `PhasescopeError` where there is none, or one in a newer format; where `out` is another run.

    >>> import phasescope as ps
    >>> run = ps.open_run("runs/demo")  # doctest: +SKIP
    >>> run.layer(1, "mlp_out", size="400k").convergence()  # doctest: +SKIP
    """
    return Run(Path(path), None if out is None else Path(out), keep_suspect)


class Run(Own):
    """A run on disk: its shards, and the tables computed from them (made when first asked for, then kept)."""

    def __init__(self, path: Path, out: Path | None = None, keep_suspect: bool = False) -> None:
        out = None if out is None or out.resolve() == path.resolve() else out
        self.folder = RunFolder(path, out)
        if out is not None and RunFolder(out).exists():
            raise PhasescopeError(
                f"{out} is a run itself, whose own tables would be lost. Name a folder for those of {path}."
            )
        self.reader = RunReader(self.folder, keep_suspect)

    def __repr__(self) -> str:
        kept = counted(len(self.reader.keys), "checkpoint")
        return f"Run({self.path.resolve().name!r}: {kept} of {self.manifest['family']})"

    def _repr_html_(self) -> str:
        from phasescope.reports.notebook import run_html

        return run_html(self)

    def visit(
        self,
        behaviour: str | Sequence[str],
        *,
        suite: str | Path | Suite | None = None,
        cache_limit: str | int | None = None,
        workers: int | None = None,
        cluster: str | None = None,
        **probes: Any,
    ) -> None:
        """Ask every captured checkpoint for behaviour that it was not asked for yet: as `capture(…, behaviour=…)`.

        suite: where the checkpoints are, if they are on the hub, or no longer where they were.
        cache_limit, workers, cluster: as for a capture.
        probes: `engine="torch"`, `device="auto"`, `batch=8`, `trust_remote_code=False`.

        Raises `PhasescopeError`; a single bad checkpoint is recorded (`run.manifest["failed"]`) and passed over.
        """
        from phasescope.probes import Probes
        from phasescope.suites.room import bytes_in
        from phasescope.visits import revisit

        limit = None if cache_limit is None else bytes_in(cache_limit)
        place = str(suite) if isinstance(suite, Path) else suite
        asked = (behaviour,) if isinstance(behaviour, str) else tuple(behaviour)
        revisit(self.folder, asked, Probes.of(**probes), place, limit, Workforce(workers, cluster))
        self.reader = RunReader(self.folder, self.reader.keep_suspect)

    def audit(self, *, anew: bool = False) -> list[Finding]:
        """Whether the checkpoints are what their names say: what the rules of `phasescope.audit` find in the shards.

        anew: look at every shard, whatever was found in them before, and keep what is found now, so that who looks at
            the run next need not.
        """
        return audit_run(self.folder, anew=anew, keep=anew)

    def audit_records(self) -> list[dict[str, Any]]:
        """The same as plain values."""
        return [finding.as_record() for finding in self.audit()]

    def analyse(
        self,
        *names: str,
        options: Options | None = None,
        csv: bool = False,
        workers: int | None = None,
        cluster: str | None = None,
    ) -> dict[str, DataFrame]:
        """Run the named analyses (none named: all) and keep their tables in `results/`.

        workers: how many processes read shards at once, a training each, where questions keep what they take from them.
        cluster: the address of a Ray cluster whose nodes read them, as for a capture; they have to see the run.
        """
        return analyse(self.reader, names, options, csv=csv, workers=Workforce(workers, cluster))

    def table(self, name: str) -> DataFrame:
        """A result table by its name; computed if it is not there or was made of other shards.

        A table that was computed with options of the user's own is kept. Also what `map` kept, by its name.
        """
        from phasescope.analyses.own import measured_names, measured_table

        return measured_table(self.reader, name) if name in measured_names(self.folder) else table(self.reader, name)

    def table_if_asked(self, name: str) -> DataFrame:
        """The same for a page of many tables: `PhasescopeError` for one that takes long and was never asked for."""
        return table_if_asked(self.reader, name)

    def layer_map(
        self,
        one: str | tuple[str, int, int],
        other: str | tuple[str, int, int],
        measures: str | Sequence[str] = "cka",
        components: str | Sequence[str] | None = None,
    ) -> DataFrame:
        """How alike each layer of a checkpoint is to each of another: size, seed, step and layer of both, value.

        one, other: `"1m/seed1/step512"` or `("1m", 1, 512)`; sizes, seeds and steps may differ, or be the same.
        measures: one or several of `phasescope.measures.SIMILARITIES`: `"cka"`, `"rsa"`, `"procrustes"` …
        components: None: all that both have.

        Raises `PhasescopeError` for what is not there, with the nearest.

        >>> table = run.layer_map("1m/seed1/step0", "1m/seed2/step512", components="mlp_out")  # doctest: +SKIP
        >>> table.pivot(index="layer", columns="other_layer", values="value")  # doctest: +SKIP
        """
        from phasescope.analyses.similarity.maps import checkpoint_named, layer_map

        names = (name if isinstance(name, str) else "{}/seed{}/step{}".format(*name) for name in (one, other))
        first, second = (checkpoint_named(self.reader, name) for name in names)
        asked = [measures] if isinstance(measures, str) else list(measures)
        some = [components] if isinstance(components, str) else components
        return layer_map(self.reader, first, second, asked, some)

    def export(
        self,
        board: str,
        tables: Sequence[str] = ("surprisal", "convergence"),
        folder: str | Path | None = None,
        **options: Any,
    ) -> Path:
        """Write tables for `"tensorboard"` or `"wandb"` (extra `export`), a run there for each size and seed.

        tables: those with size, seed and step, also measures of one's own: every number in them becomes a curve.
        folder: default: `export/tensorboard` (or `wandb`) in the run, which is returned.
        options: for TensorBoard's `SummaryWriter`, or for `wandb.init` (`project`, `mode="offline"`), which is what
            decides whether anything is sent anywhere.

        Raises `PhasescopeError` for another board, a table that is not along training, and without the library.
        """
        from phasescope.run.exporting import export

        place = Path(folder) if folder else self.folder.made / "export" / board
        found = {name: self.table(name) for name in tables}
        export(board, found, place, str(self.manifest["family"]), options)
        return place

    def compare(
        self,
        *across: str,
        suite: str | None = None,
        device: str = "auto",
        trust_remote_code: bool = False,
        workers: int | None = None,
        cluster: str | None = None,
    ) -> None:
        """Compare the models of this run across `steps` and `sizes` (both unless named), for `run.table("kl_across")`.

        The checkpoints are needed again; `suite` says where they are if they are on the hub or have moved. No model is
        run, and code that comes with them only where `trust_remote_code` says so. `workers`, `cluster`: as for a
        capture.
        """
        from phasescope.visits import compare_run

        compare_run(
            self.folder,
            across or ("steps", "sizes"),
            suite=suite,
            device=device,
            trust_remote_code=trust_remote_code,
            workers=Workforce(workers, cluster),
        )

    def against_perplexity(
        self, table: str | DataFrame, value: str, *, low: str = "low", high: str = "high", by: Sequence[str] = ()
    ) -> DataFrame:
        """Any tidy table with size and step, ours by its name or your own, against validation perplexity.

        by: columns that tell curves of one size and seed apart, such as `site` and `head` in `convergence`. More, and
        what is raised: `phasescope.analyses.trajectories.against_perplexity.table_against_perplexity`.
        """
        from phasescope.analyses.trajectories.against_perplexity import table_against_perplexity

        chosen = self.table(table) if isinstance(table, str) else table
        return table_against_perplexity(chosen, self.surprisal(), value, low=low, high=high, by=by)

    def import_results(self, *files: str | Path, **options: Any) -> Imported:
        """Keep results of lm-evaluation-harness, or tables with a column of steps, that are of this run's checkpoints.

        options, and what is raised: `phasescope.visits.importing.importing.import_into`.
        """
        from phasescope.visits.importing.importing import import_into

        return import_into(self.folder, files, **options)

    def layer(self, layer: int, component: str, size: str | None = None, head: int | None = None) -> Layer:
        """One place in one size of model; `size` may be left out where there is only one.

        Raises `PhasescopeError` where the run does not hold it, with the nearest there is.
        """
        return Layer(self, self.reader.size(size), layer, component, head)

    def report_markdown(
        self,
        path: str | Path | None = None,
        *,
        figures: Sequence[Path] = (),
        own: Sequence[str] = (),
        axis: str | None = None,
    ) -> Path:
        """Write the report as Markdown (default: `report/report.md` in the run) and return where it is.

        figures: files that `figures` made; they are linked. own, axis: as of `report`.
        """
        from phasescope.reports import write_markdown

        path = Path(path) if path else self.folder.made / "report" / "report.md"
        return write_markdown(self, path, figures, self._own(own), axis)

    def figures(
        self,
        kind: str = "svg",
        folder: str | Path | None = None,
        *,
        own: Sequence[str] = (),
        axis: str | None = None,
    ) -> list[Path]:
        """Write every figure of the report as `svg`, `pdf` or `png` (default: to `report/figures` in the run).

        own, axis: as of `report`.
        """
        from phasescope.reports import write_figures

        folder = Path(folder) if folder else self.folder.made / "report" / "figures"
        return write_figures(self, folder, kind, self._own(own), axis)

    def report(self, path: str | Path | None = None, *, own: Sequence[str] = (), axis: str | None = None) -> Path:
        """Write the HTML report (default: `report/index.html` in the run) and return where it is.

        own: measures of one's own (`map`) that have a chapter.
        axis: `"tokens"`: all step axes, tables and sentences count tokens instead; `"tokens=2097152"` where a step
            reads so many and names do not tell it.
        """
        from phasescope.reports import write_report

        path = Path(path) if path else self.folder.made / "report" / "index.html"
        return write_report(self, path, self._own(own), axis)

    def _own(self, names: Sequence[str]) -> list[str]:
        """The full names of measures that are kept. Raises `PhasescopeError` for one that is not."""
        from phasescope.analyses.own import measured_table

        named = [names] if isinstance(names, str) else names
        return [str(measured_table(self.reader, name).attrs["name"]) for name in named]
