"""Captures: what shards hold is what the models say, and nothing captured is ever lost."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

import phasescope as ps
from phasescope.errors import PhasescopeWarning
from phasescope.probes import Probes
from phasescope.reports.live.results import probe_live
from phasescope.reports.page import methods
from phasescope.store import RunFolder, ShardKey, verify
from phasescope.suites import open_suite
from phasescope.texts import Inputs
from phasescope.visits import Request, capture_into, visit
from tests.conftest import STEPS, digests, make_suite

ASKED = {"sequences": 12, "context": 32, "output_sequences": 4}


def logits_of(suite: Path, key: str, run: Path) -> torch.Tensor:
    inputs = Inputs.load(run / "inputs.h5")
    model = AutoModelForCausalLM.from_pretrained(suite / key).eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(inputs.tokens[:4]).long()).logits
    return logits[:, :-1, : inputs.vocabulary].double().log_softmax(-1)


def test_a_run_is_what_the_format_says(captured: Path) -> None:
    assert len(digests(captured)) == 2 * 2 * 4 + 2 * 4
    assert [finding.problem for finding in verify(RunFolder(captured)) if finding.problem] == []
    with h5py.File(captured / "run.h5") as index:
        shard = index["checkpoints/small/seed2/step00000004"]
        assert shard.attrs["step"] == 4
        assert shard["activations/blocks.2.hook_mlp_out"].shape == (12, 24)
        assert shard["activations/blocks.2.attn.hook_ov_out"].shape == (12, 3, 24)
        assert shard["outputs/surprisal"].shape == (4, 31)
        assert shard["outputs/final_hidden"].shape == (4, 31, 24)
        assert shard["spectra/blocks.0.attn.OV"].shape == (3, 8)
        assert "weights" not in shard
        assert index["cohorts/small/step00000016/kl"].shape == (2, 2, 4, 31)
        assert index["inputs/tokens"].shape == (12, 32)
    manifest = json.loads((captured / "run.json").read_text())
    assert manifest["failed"] == []
    assert len(manifest["checkpoints"]) == 16


def test_activations_are_those_of_the_model(captured: Path, suite_folder: Path) -> None:
    inputs = Inputs.load(captured / "inputs.h5")
    model = AutoModelForCausalLM.from_pretrained(suite_folder / "small/seed2/step4").eval()
    seen = []
    model.gpt_neox.layers[1].mlp.register_forward_hook(lambda module, given, output: seen.append(output))
    with torch.no_grad():
        model(torch.from_numpy(inputs.tokens).long())
    expected = seen[0][torch.arange(12), torch.from_numpy(inputs.positions[:, 0]).long()]
    found = ps.open_run(captured).layer(1, "mlp_out", size="small").activations(seed=2, step=4)
    # Two float32 forward passes in batches of other sizes: sums in another order.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_surprisal_and_entropy_are_those_of_the_logits(captured: Path, suite_folder: Path) -> None:
    log_probs = logits_of(suite_folder, "small/seed1/step16", captured)
    targets = torch.from_numpy(Inputs.load(captured / "inputs.h5").tokens[:4, 1:]).long()
    with RunFolder(captured).open_shard(ShardKey("small", 1, 16)) as shard:
        surprisal, entropy = shard.read("outputs/surprisal"), shard.read("outputs/entropy")
    expected = -log_probs.gather(-1, targets[..., None])[..., 0]
    np.testing.assert_allclose(surprisal, expected, atol=1e-5)  # float32 products of width 24
    np.testing.assert_allclose(entropy, -(log_probs.exp() * log_probs).sum(-1), atol=1e-5)


def test_kl_is_that_of_the_logits(captured: Path, suite_folder: Path) -> None:
    one, two = (logits_of(suite_folder, f"tiny/seed{seed}/step16", captured) for seed in (1, 2))
    with RunFolder(captured).open_cohort("tiny", 16) as cohort:
        kl = cohort.read("kl")
        assert cohort.read("seeds").tolist() == [1, 2]
    np.testing.assert_allclose(kl[0, 1], (one.exp() * (one - two)).sum(-1), atol=1e-5)
    np.testing.assert_allclose(kl[1, 0], (two.exp() * (two - one)).sum(-1), atol=1e-5)
    assert kl[0, 1].mean() > 1e-3
    np.testing.assert_array_equal(kl[[0, 1], [0, 1]], 0)


def test_a_second_capture_does_only_what_is_missing(
    captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(captured, tmp_path / "run"))
    before = digests(run)
    gone = run / "checkpoints/tiny/seed1/step00000004.h5"
    gone.unlink()
    untouched = run / "checkpoints/tiny/seed1/step00000016.h5"
    stamp = untouched.stat().st_mtime_ns
    request = Request(str(texts_file), 12, 32, 4)
    done = capture_into(open_suite(suite_folder), RunFolder(run), request)
    assert [summary.key.label for summary in done.visits] == ["tiny/seed1/step4"]
    assert done.already == 15
    assert done.cohorts == []
    assert untouched.stat().st_mtime_ns == stamp
    assert digests(run) == before


def test_more_seeds_later_make_the_cohorts_anew(
    suite_folder: Path, texts_file: Path, tmp_path: Path, captured: Path
) -> None:
    for seeds in ([1], [1, 2]):
        ps.capture(suite_folder, texts_file, tmp_path / "run", seeds=seeds, sizes=["tiny"], **ASKED)
        assert len(list((tmp_path / "run").glob("cohorts/tiny/*.h5"))) == (4 if len(seeds) > 1 else 0)
    whole = {name: digest for name, digest in digests(captured).items() if "tiny" in name}
    assert digests(tmp_path / "run") == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sequences": 11}, "sequences: 12 there, 11 now"),
        ({"sites": "mlp_out"}, "sites: .* there, .'mlp_out'. now"),
        ({"positions": 2}, "positions: 'last' there, 2 now"),
        ({"texts": "docs"}, "texts: "),
    ],
)
def test_another_request_is_refused_with_the_difference(
    captured: Path, suite_folder: Path, texts_file: Path, change: dict[str, object], said: str
) -> None:
    before = digests(captured)
    options = {"texts": texts_file, "out": captured, **ASKED, **change}
    with pytest.raises(ps.PhasescopeError, match=said):
        ps.capture(suite_folder, **options)  # type: ignore[arg-type]
    assert digests(captured) == before


def test_bad_checkpoints_are_recorded_and_passed_over(texts_file: Path, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", sizes=("tiny",), seeds=(1, 2, 3))
    weights = suite / "tiny/seed1/step4/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (suite / "tiny/seed2/step1/config.json").unlink()
    from safetensors.torch import load_file, save_file

    state = load_file(suite / "tiny/seed3/step4/model.safetensors")
    state["gpt_neox.layers.1.mlp.dense_h_to_4h.weight"][3, 2] = float("nan")
    save_file(state, suite / "tiny/seed3/step4/model.safetensors", metadata={"format": "pt"})
    shutil.rmtree(suite / "tiny/seed2/step16")  # a step that one seed lacks

    run = ps.capture(suite, texts_file, tmp_path / "run", **ASKED)
    reasons = {(f["seed"], f["step"]): f["reason"] for f in run.manifest["failed"]}
    assert set(reasons) == {(1, 4), (2, 1), (3, 4)}
    assert "config" in reasons[2, 1]
    assert "layers.1.mlp.dense_h_to_4h.weight" in reasons[3, 4]
    assert len(list(run.path.glob("checkpoints/**/*.h5"))) == 3 * 4 - 4
    seeds = run.seed_divergence().set_index("step")
    assert seeds.loc[0, "missing"] == ""
    assert seeds.loc[16, "missing"] == "2"
    assert seeds.loc[1, "missing"] == "2"
    assert 4 not in seeds.index  # one seed is no cohort

    # Mended, it is taken up by the next capture.
    make_suite(tmp_path / "fresh", sizes=("tiny",), seeds=(2,), steps=STEPS)
    shutil.copy(tmp_path / "fresh/tiny/seed2/step1/config.json", suite / "tiny/seed2/step1/config.json")
    again = ps.capture(suite, texts_file, tmp_path / "run", **ASKED)
    assert {(f["seed"], f["step"]) for f in again.manifest["failed"]} == {(1, 4), (3, 4)}


def test_a_visit_can_be_sent_to_another_process(captured: Path, suite_folder: Path, tmp_path: Path) -> None:
    checkpoint = open_suite(suite_folder).checkpoint("tiny", 2, 16)
    inputs = Inputs.load(captured / "inputs.h5")
    arguments = pickle.loads(pickle.dumps((checkpoint, inputs, Probes(), RunFolder(tmp_path / "run"))))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        summary = pool.submit(visit, *arguments).result()
    assert summary.reason == ""
    assert summary.tokens == 12 * 32
    assert summary.bytes == (tmp_path / "run/checkpoints/tiny/seed2/step00000016.h5").stat().st_size
    name = "checkpoints/tiny/seed2/step00000016.h5"
    assert digests(tmp_path / "run")[name] == digests(captured)[name]


def test_two_captures_at_once_are_refused(captured: Path, suite_folder: Path, texts_file: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from phasescope.store import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).writing(): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(captured)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ps.PhasescopeError, match="Another phasescope is writing"):
            ps.capture(suite_folder, texts_file, captured, **ASKED)
        other.kill()
    ps.capture(suite_folder, texts_file, captured, **ASKED)  # the lock went with the process


def kill_and_resume(times: int, command: list[str], run: Path, seed: int) -> None:
    """Kill the command at random moments, then let it end."""
    moments = np.random.default_rng(seed)
    for _ in range(times):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Setting up takes seconds before the first shard is written: most moments fall behind that.
        begun = time.monotonic()
        while not (run / "run.json").exists() and process.poll() is None and time.monotonic() - begun < 30:
            time.sleep(0.01)
        time.sleep(float(moments.uniform(0, 0.4)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in run.glob("checkpoints/**/step*.h5"):
            with h5py.File(path) as shard:
                assert "digest" in shard.attrs
    subprocess.run(command, check=True, capture_output=True)


CAPTURE = """
import sys
import phasescope as ps
ps.capture(sys.argv[1], sys.argv[2], sys.argv[3], sequences=12, context=32, output_sequences=4)
"""


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_ends_with_the_same(
    times: int, captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-c", CAPTURE, str(suite_folder), str(texts_file), str(run)]
    kill_and_resume(times, command, run, seed=times)
    assert digests(run) == digests(captured)
    assert [finding.problem for finding in verify(RunFolder(run)) if finding.problem] == []
    assert not list(run.rglob(".*.tmp-*"))
    ours, theirs = ps.open_run(run).analyse(), ps.open_run(captured).analyse()
    for name, table in ours.items():
        assert table.equals(theirs[name]), name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sites": "mlp_uot"}, "mlp_out"),
        ({"sites": "L9.mlp_out"}, "layer"),
        ({"sites": "resid_mid"}, "parallel"),
        ({"engine": "tourch"}, "torch"),
        ({"context": 65}, "--context 64"),
        ({"context": 1}, "nothing to predict"),
        ({"sequences": 4000}, "--sequences 222"),
        ({"output_sequences": 13}, "--output-sequences"),
        ({"sizes": ["tinny"]}, "Did you mean tiny"),
        ({"seeds": [7]}, "nearest is 2"),
        ({"steps": "every:0"}, "every"),
        ({"steps": [5]}, "nearest is 4"),
        ({"storage": "int8"}, "float16"),
        ({"dtype": "float23"}, "float32"),
        ({"batch": 0}, "--batch"),
        ({"positions": 33}, "33"),
        ({"device": "gpu"}, "cpu"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_leaves_nothing(
    suite_folder: Path, texts_file: Path, tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ps.PhasescopeError, match=said):
        ps.capture(suite_folder, texts_file, tmp_path / "run", **{**ASKED, **options})  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_sizes_with_different_tokenizers_are_refused(texts_file: Path, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", seeds=(1,), steps=(0,))
    from tests.conftest import make_tokenizer

    make_tokenizer(270).save_pretrained(suite / "small/seed1/step0")  # type: ignore[attr-defined]
    with pytest.raises(ps.PhasescopeError, match="different tokenizers"):
        ps.capture(suite, texts_file, tmp_path / "run", **ASKED)
    ps.capture(suite, texts_file, tmp_path / "run", sizes=["tiny"], **ASKED)


def test_a_tokenizer_with_more_entries_than_rows_is_refused(texts_file: Path, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", sizes=("tiny",), seeds=(1,), steps=(0,))
    from tests.conftest import make_tokenizer

    tokenizer = make_tokenizer(300)
    tokenizer.add_tokens([f"<extra{number}>" for number in range(50)])  # type: ignore[attr-defined]
    tokenizer.save_pretrained(suite / "tiny/seed1/step0")  # type: ignore[attr-defined]
    text = tmp_path / "text.txt"
    text.write_text("<extra49>".join(texts_file.read_text().split(" ")))
    with pytest.raises(ps.PhasescopeError, match=r"hold entry \d+: they do not belong together"):
        ps.capture(suite, text, tmp_path / "run", **ASKED)
    assert not (tmp_path / "run").exists()


def test_entries_of_the_tokenizer_that_nothing_holds_need_no_row(texts_file: Path, tmp_path: Path) -> None:
    """As where [PAD] was added later and the embedding was not resized: all is as it was without it."""
    suite = make_suite(tmp_path / "suite", sizes=("tiny",), seeds=(1,), steps=(0,))
    from tests.conftest import make_tokenizer

    tokenizer, asked = make_tokenizer(300), {**ASKED, "behaviour": "minimal_pairs"}
    tokenizer.add_tokens([f"<extra{number}>" for number in range(20)])  # type: ignore[attr-defined]
    tokenizer.save_pretrained(suite / "tiny/seed1/step0")  # type: ignore[attr-defined]
    before = ps.capture(suite, texts_file, tmp_path / "before", **asked)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})  # type: ignore[attr-defined]
    tokenizer.save_pretrained(suite / "tiny/seed1/step0")  # type: ignore[attr-defined]
    with pytest.warns(PhasescopeWarning, match="1 entry more than the 320 rows"):
        after = ps.capture(suite, texts_file, tmp_path / "after", **asked)
    assert after.inputs.hash == before.inputs.hash
    assert after.inputs.counts.tolist() == before.inputs.counts.tolist()
    pd.testing.assert_frame_equal(after.surprisal(), before.surprisal())
    pd.testing.assert_frame_equal(after.minimal_pairs(), before.minimal_pairs())
    # Frozen: nothing is made again, so nothing is to be said again.
    with warnings.catch_warnings():
        warnings.simplefilter("error", PhasescopeWarning)
        ps.capture(suite, texts_file, tmp_path / "after", **asked)
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"UID": "pairs", "sentence_good": "The [PAD] dog.", "sentence_bad": "The dog [PAD]."}\n')
    with pytest.raises(ps.PhasescopeError, match=r"Item 1 of pairs .* entry 320 of the tokenizer"):
        after.visit(f"minimal_pairs={pairs}")
    found = probe_live(suite, "The [PAD] dog", "L0.mlp_out")
    with pytest.raises(ps.PhasescopeError, match="320 rows for tokens, but the inputs hold token 320"):
        list(found)
    assert len(list(probe_live(suite, "The dog", "L0.mlp_out"))) == 1


@pytest.mark.parametrize(
    ("asked", "outputs", "gradients"),
    [
        ({"sequences": 16}, 16, "on 16 sequences of the inputs in 8 batches"),
        ({"sequences": 128}, 18, "on 32 sequences of the inputs in 8 batches"),
        ({"sequences": 5, "gradient_sequences": 3}, 5, "on 3 sequences of the inputs in 3 batches"),
        ({"sequences": 64, "gradient_batches": 40}, 18, "on 40 sequences of the inputs in 40 batches"),
    ],
)
def test_a_default_follows_what_was_asked(asked: dict[str, int], outputs: int, gradients: str) -> None:
    probes = {key: value for key, value in asked.items() if key.startswith("gradient")}
    request = Request(sequences=asked["sequences"], probes=Probes(gradients="inputs", **probes))
    assert (request.outputs_of, request.probes.gradients_asked(request.sequences)) == (outputs, gradients)


def test_what_was_asked_itself_has_to_fit() -> None:
    with pytest.raises(ps.PhasescopeError, match="18 output sequences do not fit into 16"):
        Request(sequences=16, output_sequences=18)
    with pytest.raises(ps.PhasescopeError, match="0 output sequences do not fit"):
        Request(output_sequences=0)


def test_a_folder_of_something_else_is_not_written_into(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear reader")
    (tmp_path / "letters" / ".draft.tmp-1").write_text("somebody else's")
    with pytest.raises(ps.PhasescopeError, match="not a run"):
        ps.capture(suite_folder, texts_file, tmp_path / "letters", **ASKED)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "Dear reader"
    assert (tmp_path / "letters" / ".draft.tmp-1").read_text() == "somebody else's"


@pytest.mark.parametrize("engine", ["transformer_lens", "nnsight"])
def test_every_engine_captures_the_same(
    engine: str, captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    ps.capture(
        suite_folder, texts_file, tmp_path / "run", sizes=["small"], seeds=[1], steps=[16], engine=engine, **ASKED
    )
    key = ShardKey("small", 1, 16)
    with RunFolder(tmp_path / "run").open_shard(key) as theirs, RunFolder(captured).open_shard(key) as ours:
        assert theirs.names() == ours.names()
        for name in ours.names():
            expected = ours.read(name)
            if expected.dtype.kind == "U":
                assert theirs.read(name).tolist() == expected.tolist()
                continue
            np.testing.assert_allclose(theirs.read(name), expected, atol=1e-5 * np.abs(expected).max(), err_msg=name)


def test_half_precision_storage(captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    run = ps.capture(
        suite_folder, texts_file, tmp_path / "run", sizes=["tiny"], storage="float16", keep_weights=True, **ASKED
    )
    key = ShardKey("tiny", 1, 16)
    with run.folder.open_shard(key) as half, RunFolder(captured).open_shard(key) as full:
        name = "activations/blocks.1.hook_mlp_out"
        assert half.read(name).dtype == np.float16
        np.testing.assert_allclose(half.read(name), full.read(name), rtol=2**-10, atol=1e-6)
        np.testing.assert_array_equal(half.read("outputs/surprisal"), full.read("outputs/surprisal"))
        assert half.read("weights/blocks.1.mlp.W_out").shape == (32, 16)
        assert half.read("weights/unembed.W_U").shape[1] == Inputs.load(captured / "inputs.h5").vocabulary < 320


def test_sampled_positions(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    run = ps.capture(suite_folder, texts_file, tmp_path / "run", sizes=["tiny"], seeds=[1], positions="all", **ASKED)
    assert run.layer(0, "mlp_out").activations(1, 16).shape == (12 * 32, 16)
    assert run.convergence()["samples"].unique().tolist() == [12 * 32]


@pytest.fixture(scope="module")
def beginning_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite whose tokenizer puts a token before every text, as Llama's does."""
    from tokenizers import processors

    from tests.conftest import make_tokenizer

    suite = make_suite(tmp_path_factory.mktemp("begin") / "suite", sizes=("tiny",), seeds=(1, 2), steps=(0, 16))
    tokenizer = make_tokenizer(300)
    tokenizer.add_special_tokens({"bos_token": "<s>"})  # type: ignore[attr-defined]
    begin = tokenizer.bos_token_id  # type: ignore[attr-defined]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[attr-defined]
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", begin)]
    )
    for folder in suite.glob("tiny/*/*"):
        tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    return suite


def test_windows_begin_as_the_tokenizer_has_it(beginning_suite: Path, texts_file: Path, tmp_path: Path) -> None:
    run = ps.capture(beginning_suite, texts_file, tmp_path / "run", behaviour="noise=swap,0.2", **ASKED)
    begin = run.inputs.begin
    assert begin is not None
    assert begin.text == "<s>"
    assert (run.inputs.tokens[:, 0] == begin.token).all()
    assert run.manifest["asked"]["bos"] == run.manifest["inputs"]["begins_with"] == "<s>"
    assert "each beginning with <s>" in methods.inputs_sentence(run)
    # What is recorded is what the model says of the text after the token.
    expected = logits_of(beginning_suite, "tiny/seed1/step16", run.path)
    targets = torch.from_numpy(run.inputs.tokens[:4, 1:]).long()
    with run.folder.open_shard(ShardKey("tiny", 1, 16)) as shard:
        surprisal = torch.from_numpy(shard.read("outputs/surprisal")).double()
    torch.testing.assert_close(surprisal, -expected.gather(-1, targets[..., None])[..., 0], rtol=1e-4, atol=1e-4)
    # Every reader of tokens, words and places goes through.
    asked = ("surprisal", "seeds", "in_context_learning", "noise", "convergence")
    tables = run.analyse(*asked, "trajectories")
    assert [name for name in asked if tables[name].empty] == []
    assert live_reads_it(beginning_suite, begin.token)


def live_reads_it(suite: Path, token: int) -> bool:
    text = probe_live(suite, "The dog", "L0.mlp_out").probe.texts["tiny"]
    return text.read[0] == token and text.first == 1 and len(text.read) == len(text.tokens) + 1


def test_a_run_keeps_to_how_its_windows_begin(beginning_suite: Path, texts_file: Path, tmp_path: Path) -> None:
    with_it, without = tmp_path / "with", tmp_path / "without"
    ps.capture(beginning_suite, texts_file, with_it, steps="last", **ASKED)
    ps.capture(beginning_suite, texts_file, without, steps="last", bos="never", **ASKED)
    assert ps.open_run(without).inputs.begin is None
    for run, other in ((with_it, "never"), (without, "always")):
        ps.capture(beginning_suite, texts_file, run, **ASKED)  # auto: as it is there
        with pytest.raises(ps.PhasescopeError, match=r"windows begin with: .* there, .* now"):
            ps.capture(beginning_suite, texts_file, run, bos=other, **ASKED)
    ps.capture(beginning_suite, texts_file, with_it, bos="always", **ASKED)
    # Inputs that are gone are made again as they were.
    before = ps.open_run(without).inputs.hash
    (without / "inputs.h5").unlink()
    assert ps.capture(beginning_suite, texts_file, without, **ASKED).inputs.hash == before
    with pytest.raises(ps.PhasescopeError, match="Did you mean never"):
        ps.capture(beginning_suite, texts_file, tmp_path / "none", bos="nver", **ASKED)
