"""At the studies' own size: what each part of a large job costs against the way it was done before.

Processor time, the two ways in turn in one process. `python -m benchmarks scale [--only intervals]`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.cka_before import FinalStateBefore
from benchmarks.long_runs import PYTHIA, make_run
from benchmarks.suites import make
from phasescope.measures import Draws, FinalState, State, bootstrap_weights
from phasescope.store import ShardKey

RESAMPLES = 500
SEQUENCES, CONTEXT = 128, 256
# Of the 160M shape: parts of a step by their width, and how many there are.
PARTS = {768: 12 * 2, 64: 12 * 12}


def main() -> None:
    torch.set_num_threads(1)
    parts = {"intervals": intervals, "disk": disk, "small": small, "grown": grown}
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else list(parts)
    for name in only:
        parts[name]()


def intervals() -> None:
    """CKA with intervals of one step of the 160M shape, all of its sites and heads."""
    for samples, goal in ((1024, "≥ 20 ×"), (128, "not slower")):
        spent = torch.zeros(2, dtype=torch.float64)
        for width, count in PARTS.items():
            for noise in (0.03, 0.3, 3.0):  # CKA near 1, and far from it
                spent += torch.tensor(_one_part(samples, width, noise)) * (count / 3)
        before, now = spent.tolist()
        print(
            f"  intervals, 160M shape, {samples} samples: {before:.1f} s before, {now:.2f} s now, "
            f"{before / now:.1f} × (goal {goal})",
            flush=True,
        )


def disk() -> None:
    """What study A's sites take at 1 024 samples: measured of two layers, and by arithmetic of the 410M shape."""
    before, now = (_shard(split) for split in (False, True))
    print(
        f"  disk, 2 layers of 512, 8 heads: {before / 1e6:.1f} MB before, {now / 1e6:.1f} MB now, {before / now:.2f} ×"
    )
    layers, heads, width, d = 24, 16, 64, 1024
    numbers = 1024 * layers * 2 * d  # attn_out and mlp_out
    for kind, size in (("float16", 2), ("float32", 4)):
        before = 4 * (numbers + 1024 * layers * heads * d)
        now = 4 * (numbers + 1024 * layers * heads * width) + size * layers * heads * width * d
        each = f"{27 * before / 1e9:.1f} GB before, {27 * now / 1e9:.1f} GB now, {before / now:.2f} ×"
        print(f"  disk, 410M shape of {kind} weights, 27 checkpoints: {each} (goal ≥ 5 ×)")


def _shard(split: bool) -> int:
    """Bytes of a shard of `attn_out`, `mlp_out` and `ov_out`, of float16 weights."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from phasescope.hooks import get_engine
    from phasescope.probes.activations import ActivationProbe
    from phasescope.store import new_container

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        hidden_size=512, num_hidden_layers=2, num_attention_heads=8, intermediate_size=2048, vocab_size=256
    )
    model = get_engine("torch").open(GPTNeoXForCausalLM(config).half().float().eval())
    inputs: Any = SimpleNamespace(positions=np.zeros((1024, 1)), sequences=1024)
    probe = ActivationProbe(model, inputs, "float32")
    sites = ["attn_out", "mlp_out", "ov_out"]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shard.h5"
        with new_container(path, "shard", {}) as writer:
            for first in range(0, 1024, 64):
                tokens = torch.randint(256, (64, 8))
                probe.write(writer, model.read(tokens, torch.full((64, 1), 7), sites, split=split), first)
        return path.stat().st_size


def small() -> None:
    """A capture of small models (the nursery's 1m) against its bare forward passes, texts frozen before."""
    import phasescope as ps

    steps = (0, *range(10, 70, 10))
    with TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", {"1m": (128, 4, 4)}, (1,), steps, rows=4096, entries=4096)
        asked = {"sequences": SEQUENCES, "context": CONTEXT, "output_sequences": 18}
        ps.capture(suite, "docs", Path(folder) / "run", steps=[0], **asked)
        bare = _bare(suite, 0)
        begun = process_time()
        ps.capture(suite, "docs", Path(folder) / "run", **asked)
        spent = process_time() - begun
        bare += _bare(suite, 1)
    print(
        f"  small, 6 checkpoints of 1m: forward passes {bare:.1f} s, capture {spent:.1f} s, {spent / bare:.2f} (≤ 1.4)"
    )


def grown() -> None:
    """All analyses of a run that has grown by one step of 154, against all of them from nothing."""
    with TemporaryDirectory() as folder:
        run = make_run(Path(folder), {"1m": (128, 4, 4)}, (1, 2), PYTHIA, context=32, rows=1024)
        late = [run.shard(ShardKey("1m", seed, 64000)) for seed in (1, 2)] + [run.cohort("1m", 64000)]
        aside = [path.rename(Path(folder) / f"late{number}.h5") for number, path in enumerate(late)]
        _analysed(run.path)
        for path, kept in zip(late, aside, strict=True):
            kept.rename(path)
        again = _analysed(run.path)
        shutil.rmtree(run.path / "results")
        whole = _analysed(run.path)
    for name in whole:
        print(f"  grown, {name}: {whole[name]:.2f} s from nothing, {again[name]:.2f} s for one more step")
    share = sum(again.values()) / sum(whole.values())
    print(f"  grown, all analyses of 2 seeds × 154 steps of 1m: one more step takes {share:.1%} (goal ≤ 5 %)")


def _analysed(path: Path) -> dict[str, float]:
    """Seconds of processor time of each analysis that is made without being named, and of the audit before, which a
    capture ends with.
    """
    import phasescope as ps
    from phasescope.analyses.registry import questions
    from phasescope.analyses.results import is_asked
    from phasescope.audit import audit_run

    run, spent = ps.open_run(path), {}
    begun = process_time()
    audit_run(run.folder, keep=True)
    spent["audit"] = process_time() - begun
    for name in [name for name, asked in questions().items() if is_asked(run.reader, asked)]:
        begun = process_time()
        run.analyse(name)
        spent[name] = process_time() - begun
    return spent


def _bare(suite: Path, half: int) -> float:
    """Seconds of the forward passes of every other checkpoint after the first; half of them before, half after."""
    from phasescope.suites import open_suite
    from phasescope.suites.load import load_model

    spent = 0.0
    for checkpoint in open_suite(suite).checkpoints[1 + half :: 2]:
        model = load_model(checkpoint, device="cpu")
        tokens = torch.randint(0, 4000, (SEQUENCES, CONTEXT))
        with torch.no_grad():
            for some in tokens.split(8):
                begun = process_time()
                model.base_model(some, use_cache=False)
                spent += process_time() - begun
    return spent


def _one_part(samples: int, width: int, noise: float) -> tuple[float, float]:
    generator = torch.Generator().manual_seed(0)
    final = torch.randn(samples, width, generator=generator) * torch.arange(1, width + 1) ** -0.7
    earlier = final + noise * final.std() * torch.randn(samples, width, generator=generator)
    counts = bootstrap_weights(samples, RESAMPLES, 0)
    state, draws, reference = FinalState(final), Draws(counts), FinalStateBefore(final, counts)

    def now() -> None:
        one = State(earlier)
        state.both(one)
        state.resampled(one, draws)

    def before() -> None:
        reference.both(earlier)
        reference.resampled(earlier)

    return _in_turn(before, now)


def _in_turn(*ways: Callable[[], None], least: float = 1.0) -> tuple[float, float]:
    """Seconds of processor time of each, the least of as many turns as the first takes `least` seconds for."""
    for way in ways:
        way()
    spent: list[list[float]] = [[] for _ in ways]
    while len(spent[0]) < 3 or sum(spent[0]) < least:
        for way, seconds in zip(ways, spent, strict=True):
            begun = process_time()
            way()
            seconds.append(process_time() - begun)
    first, second = (min(seconds) for seconds in spent)
    return first, second


if __name__ == "__main__":
    main()
