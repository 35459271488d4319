"""Making a run out of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import stderr
from phasescope.run.run import Run, open_run
from phasescope.store import RunFolder

if TYPE_CHECKING:
    from phasescope.suites import Suite


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
    output_sequences: int | None = None,
    positions: str | int = "last",
    seed: int = 0,
    bos: str = "auto",
    cache_limit: str | int | None = None,
    behaviour: str | Sequence[str] = (),
    compare: str | Sequence[str] = (),
    workers: int | None = None,
    cluster: str | None = None,
    config: str | Path | None = None,
    prefix: str = "",
    **probes: Any,
) -> Run:
    """Visit every checkpoint of `suite`, record it into the run `out`, return the run. Resumes by itself.

    suite: a folder, a preset (`polypythia`), a repository on the hub (`EleutherAI/pythia-160m`), or a `Suite`.
    texts: a .txt, .jsonl or .conllu file, `docs`, or a data set on the hub; None: the suite's own held-out text where
        it has one, else `docs`.
    out: the folder of the run.
    sizes, seeds: which checkpoints; None: all.
    steps: `all`, `log`, `last`, `every:10000`, several of these joined by commas, or numbers.
    sequences: token windows to read.
    context: tokens in each; None: 256, or what the models allow.
    output_sequences: how many of these windows feed surprisal, entropy and KL; None: 18, or all where there are fewer.
    positions: at which tokens of a window sites are recorded: `last`, `all`, or so many random ones.
    seed: of the choice of windows and positions.
    bos: whether windows begin with the beginning-of-text token: `auto` (as the tokenizer has it), `always`, `never`.
    cache_limit: what may be kept in the hub's cache of what is fetched for this capture, as bytes or as `"50GB"`;
        checkpoints that were visited make room for others. None: everything is kept.
    behaviour: what else the models are asked: `"minimal_pairs"` (a small set of ours), `"minimal_pairs=FILE"` (one of
        BLiMP's, or a folder of them), `"noise"`, `"multiple_choice=TASK"`, `"all"`, or several of these.
    compare: beside seeds, compare `steps` (each with the last and the one before), `sizes`, or both.
    workers: how many checkpoints are visited at once, each by a process of its own; None: one, or as many as a cluster
        has GPUs or cores.
    cluster: the address of a Ray cluster (`"auto"`, `"local"`, `"ray://host:10001"`) whose nodes do the work; None:
        this machine does it. Needs the extra `cluster`.
    config, prefix: of weights that lie without a configuration, see `phasescope.open_suite`.
    probes: see `phasescope.probes.Probes`: `sites=("attn_out", "mlp_out")`, `engine="torch"`, `device="auto"`,
        `gradients="inputs"`, …

    Raises `PhasescopeError`; a single bad checkpoint is recorded (`run.manifest["failed"]`) and passed over.
    Checkpoints that cannot be what their names say (`run.audit()`) are told on stderr.
    """
    from phasescope.probes import Probes
    from phasescope.suites import open_suite
    from phasescope.suites.room import bytes_in
    from phasescope.visits import Request, capture_into
    from phasescope.workers import Workforce

    request = Request(
        texts=None if texts is None else str(texts),
        sequences=sequences,
        context=context,
        output_sequences=output_sequences,
        positions=positions,
        seed=seed,
        bos=bos,
        probes=Probes.of(**probes),
        behaviour=(behaviour,) if isinstance(behaviour, str) else tuple(behaviour),
    )
    chosen = open_suite(suite, config=config, prefix=prefix, sizes=sizes).select(sizes=sizes, seeds=seeds, steps=steps)
    limit = None if cache_limit is None else bytes_in(cache_limit)
    across = compare.split(",") if isinstance(compare, str) else compare
    capture_into(chosen, RunFolder(Path(out)), request, limit, across, Workforce(workers, cluster))
    run = open_run(out)
    if suspect := [finding.sentence for finding in run.audit() if finding.is_suspect]:
        said = f"Not all checkpoints are what their names say. {' '.join(suspect)}"
        stderr().print(said, markup=False, soft_wrap=True)
    return run
