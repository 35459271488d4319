"""The commands, as a user runs them."""

import io
import json
import math
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import h5py
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from phasescope.analyses import questions
from phasescope.cli import app
from phasescope.console import counted, none_of

COMMANDS = [
    "demo", "train", "index", "capture", "visit", "compare", "import", "evaluate", "analyse", "report", "layer", "info",
    "verify", "suites", "phases",
]  # fmt: skip


def alone(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which takes seconds to import what it needs."""
    done = subprocess.run(
        [sys.executable, "-m", "phasescope.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def here(*arguments: object, status: int = 0) -> Result:
    """The same in this process, for speed; what differs in one of its own (imports, signals) is not asked so."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done


def one_sentence(done: Result) -> str:
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    return done.stderr


@pytest.fixture(scope="module")
def run(suite_folder: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made by the command itself."""
    out = tmp_path_factory.mktemp("cli") / "run"
    done = alone(
        "capture", suite_folder, "--out", out, "--texts", texts_file, "--sequences", 12, "--context", 32,
        "--output-sequences", 4, "--sites", "attn_out,mlp_out,ov_out",
    )  # fmt: skip
    assert "16" in done.stdout
    return out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    assert f"Example: phasescope {command}" in here(command, "--help").stdout


@pytest.mark.parametrize("columns", ["60", "80", "160"])
def test_help_cuts_no_name(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = here("capture", "--help").stdout
    for name in ("blocks.3.hook_resid_post", "'model.layers.{layer}.mlp=mlp_out'", "owner/name-{size}-seed{seed}"):
        assert name in shown
    assert "\n  Example: phasescope capture runs/nursery --out runs/probed --sites attn_out,mlp_out\n" in shown
    for text in (shown, here("--help").stdout):
        assert "…" not in text
        assert "..." not in text.replace("[ARGS]...", "")
        assert max(map(len, text.splitlines())) <= max(int(columns), 90)  # an example may be longer


def test_piped_tables_are_as_wide_as_they_need(run: Path) -> None:
    """A row is one line, however long, and nothing is cut."""
    label = "a name of a benchmark that is far longer than any terminal " * 3
    from phasescope.cli.options import tell
    from phasescope.reports.kit import cells

    made = cells.table("A title", "name", ">number", caption="words " * 30)
    made.add_row(label, "1")
    printed = io.StringIO()
    with redirect_stdout(printed):
        tell({}, False, lambda: made)
    assert any(f"{label.strip()}" in line and line.rstrip().endswith("1") for line in printed.getvalue().splitlines())
    for command in (["analyse", run, "rank", "surprisal"], ["info", run], ["suites"], ["layer", run, 1, "mlp_out"]):
        more = ["--size", "small"] if command[0] == "layer" else []
        assert "…" not in here(*command, *more).stdout.replace("0 … 16", "")


def test_one_thing_is_not_several(run: Path, tmp_path: Path) -> None:
    results = tmp_path / "scores.csv"
    results.write_text("step,size,seed,score\n4,small,1,0.5\n", encoding="utf-8")
    copy = shutil.copytree(run, tmp_path / "run")
    assert here("import", copy, results).stdout.startswith("1 number of 1 checkpoint from 1 file.\n")
    assert [counted(1, "entry", "entries"), counted(0, "file"), counted(2310, "checkpoint")] == [
        "1 entry", "0 files", "2,310 checkpoints",
    ]  # fmt: skip
    assert (none_of(1, "checkpoint"), none_of(2, "checkpoint")) == ("No checkpoint", "None of the 2 checkpoints")


def test_progress_of_commands_goes_to_stderr(run: Path, tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("step,x\n" + "".join(f"{2**i},{i}.0\n" for i in range(9)), encoding="utf-8")
    asked = ("phases", table, "--value", "x", "--resamples", 20)
    bar = alone(*asked, "--progress", "bar")
    assert "1/1" in bar.stderr
    assert "1/1" not in bar.stdout
    assert here(*asked, "--progress", "none").stderr == ""
    assert "is not one of" in here(*asked, "--progress", "line", status=2).stderr
    for command in COMMANDS:
        there = "--progress" in here(command, "--help").stdout
        assert there == (command not in ("layer", "info", "suites")), command


def test_version_and_help() -> None:
    from phasescope import __version__

    assert alone("--version").stdout == f"phasescope {__version__}\n"
    shown = here("--help").stdout
    assert all(command in shown for command in COMMANDS)


def test_help_does_not_wait_for_heavy_libraries() -> None:
    code = (
        "import sys; sys.argv = ['phasescope', '--help']\n"
        "from phasescope.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'nnsight', 'plotly', 'pandas', 'scipy', 'h5py', 'numpy'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")


def test_json_only(run: Path, suite_folder: Path, texts_file: Path) -> None:
    again = here(
        "capture", suite_folder, "--out", run, "--texts", texts_file, "--sequences", 12, "--context", 32,
        "--output-sequences", 4, "--json",
    )  # fmt: skip
    record = json.loads(again.stdout)
    assert (record["visited"], record["already"], record["failed"]) == (0, 16, [])
    tables = json.loads(alone("analyse", run, "--json").stdout)
    assert set(tables) == {t.name for asked in questions().values() if not asked.by_name for t in asked.tables}
    assert tables["seeds"][0]["kl"] >= 0
    one = json.loads(here("layer", run, 1, "mlp_out", "--size", "small", "--json").stdout)
    assert [row["step"] for row in one["convergence"] if row["seed"] == 1] == [0, 1, 4, 16]
    assert json.loads(here("info", run, "--json").stdout)["family"]
    assert json.loads(here("verify", run, "--json").stdout)["problems"] == []
    assert len(json.loads(here("suites", suite_folder, "--json").stdout)["checkpoints"]) == 16
    assert "pythia" in json.loads(here("suites", "--json").stdout)


def test_an_index_is_built_and_used(run: Path, texts_file: Path, tmp_path: Path) -> None:
    index = tmp_path / "an index"
    record = json.loads(here("index", texts_file, "--out", index, "--json").stdout)
    assert (record["unit"], record["documents"]) == ("word", 1)
    shown = here("analyse", run, "heuristics", "--reference", index, "--resamples", 20).stdout
    assert "small: what word log-probabilities go with" in shown
    assert "unigram" in shown
    assert "is there already" in here("index", texts_file, "--out", index, status=1).stderr
    assert "no reference corpus" in here("analyse", run, "heuristics").stdout.replace("\n", " ")
    beside = here("analyse", run, "agreement", "--with", run, "--resamples", 20).stdout
    assert "other seeds" in beside


def test_an_index_of_tokens(suite_folder: Path, run: Path, texts_file: Path, tmp_path: Path) -> None:
    tokenizer = suite_folder / "tiny/seed1/step0"
    made = here("index", texts_file, "--out", tmp_path / "index", "--tokenizer", tokenizer).stdout
    assert "tokens (" in made
    table = json.loads(
        here("analyse", run, "heuristics", "--reference", tmp_path / "index", "--resamples", 9, "--json").stdout
    )["heuristics"]
    assert {row["unit"] for row in table} == {"token"}
    assert "no tokenizer.json" in here(
        "index", texts_file, "--out", tmp_path / "other", "--tokenizer", tmp_path, status=1
    ).stderr.replace("\n", " ")


def test_terminal_views(run: Path, suite_folder: Path) -> None:
    assert "convergence.parquet" in str(list((run / "results").iterdir())) or here("analyse", run)
    shown = here("analyse", run, "surprisal", "seeds", "--csv").stdout
    assert str(run / "results") in re.sub(r"\s+", "", shown).replace("Tables:", "Tables: ") or "results" in shown
    assert (run / "results/surprisal.csv").exists()
    assert "mlp_out" in here("layer", run, 1, "mlp_out", "--size", "small").stdout
    assert "small" in here("info", run).stdout
    assert "seed 1" not in here("suites", suite_folder).stdout  # nothing is lacking
    shown = here("suites", "gpt2-stanford").stdout
    assert all(words in shown for words in ("21000 to 400000", "~510 MB", "~1.6 TB", "3045"))
    assert "asked" in here("suites").stdout
    assert "16 comparisons made, 0 were there" in here("compare", run, "--across", "steps").stdout
    assert "its last step" in here("analyse", run, "seeds", "--by", "position").stdout
    assert "every checksum and digest fits" in here("verify", run).stdout


def test_phases_of_a_table_and_of_a_run(run: Path, tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    steps = [2**i for i in range(11)]
    scores = [min(math.log1p(step), 3.5) + 0.01 * (i % 2) for i, step in enumerate(steps)]
    rows = [f"{seed},{step},{score}" for seed in (1, 2) for step, score in zip(steps, scores, strict=True)]
    table.write_text("\n".join(["seed,update,score", *rows]))
    arguments = ("phases", table, "--step", "update", "--value", "score", "--resamples", 50)
    found = json.loads(here(*arguments, "--by", "seed", "--json").stdout)
    assert [one["group"] for one in found] == [{"seed": 1}, {"seed": 2}, {}]
    assert [set(one) for one in found] == [{"group", "phases", "boundaries", "peak"}] * 3
    assert abs(found[2]["boundaries"][0]["step"] - 32) < 4
    assert "sharply rising" in here(*arguments, "--by", "seed").stdout
    said = one_sentence(here("phases", table, "--value", "skore", "--step", "update", status=1))
    assert "no column 'skore'. Did you mean score?" in said
    assert "Seed" not in one_sentence(here(*arguments, status=1))
    of_run = json.loads(here("phases", run, "--json").stdout)
    assert {"curve": "kl", "size": "small"} in [one["group"] for one in of_run]
    assert "undetermined" in here("phases", run).stdout


def test_report(run: Path) -> None:
    path = Path(alone("report", run).stdout.strip())
    assert path == run / "report/index.html"
    page = path.read_text(encoding="utf-8")
    assert "small" in page
    assert len(page) < 8e6


def test_verify_names_a_changed_shard(run: Path) -> None:
    path = run / "checkpoints/tiny/seed1/step00000004.h5"
    before = path.read_bytes()
    with h5py.File(path, "r+") as shard:
        shard["activations/blocks.0.hook_mlp_out"][0, 0] += 1
    done = here("verify", run, status=1)
    assert "step00000004.h5" in done.stdout.replace("\n", "")
    path.write_bytes(before)
    here("verify", run)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["capture", "NOWHERE", "--out", "OUT"], "NOWHERE"),
        (["capture", "polypythi", "--out", "OUT"], "Did you mean polypythia"),
        (["analyse", "OUT"], "no such folder"),
        (["layer", "RUN", "9", "mlp_out", "--size", "small"], "nearest is 2"),
        (["layer", "RUN", "1", "mlp_out"], "Several sizes"),
        (["report", "SUITE"], "is not a run"),
        (["verify", "SUITE"], "is not a run"),
        (["suites", "EMPTY"], "checkpoints"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    arguments: list[str], said: str, run: Path, suite_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "RUN": run,
        "SUITE": suite_folder,
        "OUT": tmp_path / "out",
        "NOWHERE": "./NOWHERE",
        "EMPTY": tmp_path / "empty",
    }
    done = here(*(places.get(argument, argument) for argument in arguments), status=1)
    assert said in one_sentence(done)


CAPTURE = ["capture", "SUITE", "--out", "OUT"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*CAPTURE, "--sites", "mlp_uot"], "Did you mean mlp_out"),
        ([*CAPTURE, "--sites", "L0.mlp_uot"], "Did you mean L0.mlp_out"),
        ([*CAPTURE, "--positions", "first"], "positions"),
        ([*CAPTURE, "--cache-limit", "much"], "write 50GB, 1.5GiB or 500MB"),
        ([*CAPTURE, "--engine", "torhc"], "Did you mean torch"),
        ([*CAPTURE, "--device", "gpu"], "There is no device 'gpu'"),
        ([*CAPTURE, "--dtype", "float8"], "Models cannot compute in 'float8'"),
        ([*CAPTURE, "--storage", "int8"], "float32 or float16"),
        ([*CAPTURE, "--batch", "0"], "at least one sequence"),
        ([*CAPTURE, "--gradients", "input"], "Did you mean inputs"),
        ([*CAPTURE, "--steps", "evry:10"], "is not a choice of steps"),
        ([*CAPTURE, "--compare", "stesp"], "Did you mean steps"),
        ([*CAPTURE, "--module", "mlp"], "does not name a site"),
        ([*CAPTURE, "--behaviour", "minimal_pear"], "Did you mean minimal_pairs"),
        ([*CAPTURE, "--output-sequences", "4000"], "do not fit"),
        (["analyse", "RUN", "convergense"], "Did you mean convergence"),
        (["analyse", "RUN", "--tau", "1.5"], "between 0 and 1"),
        (["analyse", "RUN", "--resamples", "0"], "at least one resample"),
        (["analyse", "RUN", "--trend-over", "time"], "There is no axis"),
        (["analyse", "RUN", "--unit", "letter"], "There is no unit"),
        (["analyse", "RUN", "seeds", "--by", "frequencies"], "Did you mean frequency"),
        (["analyse", "RUN", "in_context_learning", "--early", "first"], "is no position"),
        (["analyse", "RUN", "heuristics", "--reference", "infini-gram:"], "names no corpus"),
        (["compare", "RUN", "--across", "stesp"], "Did you mean steps"),
        (["compare", "RUN", "--across", "seeds"], "Seeds need no asking"),
        (["visit", "RUN"], "say --behaviour"),
        (["visit", "RUN", "--behaviour", "noise=swap,2"], "A rate of noise lies above 0"),
        (["train", "OUT", "--schedule", "cosin"], "Did you mean cosine"),
        (["train", "OUT", "--sizes", "3m"], "The nursery knows no size"),
        (["train", "OUT", "--steps", "0"], "must be"),
        (["phases", "TABLE"], "--value"),
        (["phases", "TABLE", "--value", "x", "--level", "2"], "between 0 and 1"),
        (["import", "RUN", "TABLE", "--step-pattern", "step"], "no group that is the step"),
        (["import", "RUN", "TABLE", "--column", "stpe=x"], "Did you mean step"),
        (["evaluate", "RUN", "--tasks", "piqa", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["explore", "RUN", "--no-browser", "--port", "99999"], "There is no port 99999"),
        (["layer", "RUN", "1", "mlp_uot", "--watch"], "Did you mean mlp_out"),
    ],
)
def test_what_no_run_could_have_is_one_sentence_and_status_2(
    arguments: list[str], said: str, run: Path, suite_folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("step,x\n0,1.0\n1,2.0\n2,3.0\n", encoding="utf-8")
    places = {"RUN": run, "SUITE": suite_folder, "OUT": tmp_path / "out", "TABLE": table}
    done = here(*(places.get(argument, argument) for argument in arguments), status=2)
    assert (done.stdout, done.stderr[:7], done.stderr.count("\n")) == ("", "Error: ", 1)
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["capture", "SUITE"], ["analyse", "RUN", "--tau", "high"], ["layer", "RUN", "one", "mlp_out"]],
)
def test_bad_arguments_exit_with_2(arguments: list[str]) -> None:
    here(*arguments, status=2)


def test_when_every_checkpoint_is_bad_the_work_failed(texts_file: Path, tmp_path: Path) -> None:
    from tests.conftest import make_suite

    suite = make_suite(tmp_path / "suite", sizes=("tiny",), seeds=(1,), steps=(0, 1))
    for path in suite.rglob("*.safetensors"):
        path.write_bytes(b"nothing")
    arguments = ["capture", suite, "--out", tmp_path / "run", "--texts", texts_file, "--context", 32, "--sequences", 20]
    done = here(*arguments, status=1)
    assert "None of the 2 checkpoints could be read" in done.stderr


def test_a_visit_asks_for_more_and_says_what_it_did(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    done = here("visit", copy, "--behaviour", "minimal_pairs")
    assert "Asked 16 checkpoints" in done.stdout
    for visited in (16, 0):  # the first for noise, which `all` means, too
        again = json.loads(here("visit", copy, "--behaviour", "all", "--json").stdout)
        assert (again["visited"], again["already"], again["failed"]) == (visited, 16 - visited, [])
    assert "own_word_order" in here("analyse", copy, "minimal_pairs").stdout
    assert "say --behaviour" in one_sentence(here("visit", copy, status=2))
    assert "Did you mean minimal_pairs" in one_sentence(here("visit", copy, "--behaviour", "pairs", status=2))


def test_what_vanishes_under_a_command_is_one_sentence(tmp_path: Path):
    commands = typer.Typer(cls=type(typer.main.get_group(app)), pretty_exceptions_enable=False)

    @commands.command()
    def look() -> None:
        (tmp_path / "gone").stat()

    commands.callback()(lambda: None)
    done = CliRunner().invoke(commands, ["look"])
    assert done.exit_code == 1
    assert " ".join(done.output.split()).startswith(f"Error: {tmp_path / 'gone'} is not there. If it was deleted")
