"""The report as Markdown, and its figures as files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError
from phasescope.reports import write_figures, write_markdown
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.kit.theme import figure
from phasescope.reports.page.chapters import Chapter, file_names
from phasescope.reports.page.static import KINDS
from tests.reports.tables import SyntheticRun, make_run

_BEGINS = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG"}


def _panel(title: str) -> Panel:
    return Panel(title, "", figure([], 100), source="rank")


def test_names_tell_what_is_seen_and_are_never_the_same() -> None:
    panels = [_panel("W_in (weight)"), _panel("W_in [weight]"), _panel("../..\\x"), _panel("语言")]
    names = file_names([Chapter("size-0", "410m", [Part("rank", "Effective rank", "", panels)])])
    assert [names[id(panel)] for panel in panels] == [
        "410m-rank-w_in-weight", "410m-rank-w_in-weight-2", "410m-rank-x", "410m-rank"
    ]  # fmt: skip


def test_findings_tables_and_captions_are_in_the_text(run: SyntheticRun, tmp_path: Path) -> None:
    text = write_markdown(run, tmp_path / "report.md").read_text("utf-8")
    assert "# nursery\n" in text
    assert "- In 0.4m, mlp_out of L0 settles first" in text
    assert "### When layers settle" in text
    assert "From results/settling.parquet." in text
    assert "![" not in text  # no figure was written
    settled = re.search(r"^\| L0\.mlp_out \| (\d+) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    assert settled
    assert f"at step {settled[1]} \\[{settled[2]}, {settled[3]}\\]" in text
    assert "| 20 | 128 | sharp divergence | \\[16, 24\\] |" in text
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0].startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1  # as many cells in every row


def test_names_are_no_markup(tmp_path: Path) -> None:
    run = make_run(
        tmp_path, depths={"<b>|x": 2}, seeds=(1,), steps=(0, 4), components=("mlp_out",), family="[a](b)\n# c"
    )
    text = write_markdown(run, tmp_path / "report.md").read_text("utf-8")
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert text.startswith("# \\[a\\](b) \\# c\n")


def test_a_place_that_cannot_be_written_is_a_clear_sentence(run: SyntheticRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PhasescopeError, match=r"cannot be written to .*report\.md"):
        write_markdown(run, tmp_path / "file" / "report.md")


def test_a_kind_that_is_not_known_is_a_clear_sentence(run: SyntheticRun, tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="svg, pdf, png, not as 'gif'"):
        write_figures(run, tmp_path, "gif")


def test_without_kaleido_it_is_said_how_to_get_it(
    run: SyntheticRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kaleido", None)
    with pytest.raises(PhasescopeError, match=r"phasescope\[figures\]"):
        write_figures(run, tmp_path / "figures", "svg")
    assert not (tmp_path / "figures").exists()


@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_files_that_the_text_links(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("kaleido")
    run = make_run(tmp_path, depths={"0.4m": 1}, heads=1, seeds=(1,), steps=(0, 4), components=("mlp_out",))
    few = {name: run.tables[name] for name in ("convergence", "settling", "surprisal")}
    run = SyntheticRun(run.path, few, run.manifest, run.sizes)
    files = write_figures(run, tmp_path / "report" / "figures", kind)
    assert "0.4m-convergence-mlp_out" in {file.stem for file in files}
    assert all(file.read_bytes().startswith(_BEGINS[kind]) for file in files)
    text = write_markdown(run, tmp_path / "report" / "report.md", files).read_text("utf-8")
    links = re.findall(r"\]\((figures/[^)]*)\)", text)
    assert sorted(links) == sorted(f"figures/{file.name}" for file in files)
    assert all((tmp_path / "report" / link).is_file() for link in links)
