"""The data of a figure as CSV, asked for in a real browser, beside the table that it was drawn from."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phasescope.reports import write_report
from phasescope.reports.kit import tidy
from tests.reports.browser import choose_last, reading
from tests.reports.tables import make_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# How many of the buttons keys can reach, where one sees that they have.
REACHED = """() => [...document.querySelectorAll("button.csv")].filter((button) => {
  button.focus();
  return document.activeElement === button && button.matches(":focus-visible");
}).length"""


# Presses the buttons of all figures and gives what would be saved, by name: a browser really saves ten files in a row.
SAVE = """async () => {
  const made = new Map(), files = {};
  const make = URL.createObjectURL, click = HTMLAnchorElement.prototype.click;
  URL.createObjectURL = (blob) => { const url = make(blob); made.set(url, blob); return url; };
  const buttons = [...document.querySelectorAll("button.csv")];
  await new Promise((done) => {
    HTMLAnchorElement.prototype.click = async function () {
      files[this.download] = await made.get(this.href).text();
      if (Object.keys(files).length === buttons.length) done();
    };
    buttons.forEach((button) => button.click());
  });
  URL.createObjectURL = make;
  HTMLAnchorElement.prototype.click = click;
  return files;
}"""


@pytest.fixture(scope="module")
def saved(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Files after the last choice of every control was made; which buttons keys reach; and the run."""
    folder = Path(tmp_path_factory.mktemp("csv"))
    run = make_run(folder, depths={"=1+1": 2}, heads=2, seeds=(1, 2), steps=(0, 4, 16, 64), components=("mlp_out",))
    with reading(browser, write_report(run, folder / "report.html"), height=800) as page:
        choose_last(page)
        buttons, reached = page.locator("button.csv").count(), page.evaluate(REACHED)
        with page.expect_download() as download:
            page.locator("button.csv").first.click()
        saved, files = download.value, page.evaluate(SAVE)
        assert saved.path().read_bytes().decode() == files[saved.suggested_filename]
        return {"files": files, "buttons": buttons, "reached": reached, "run": run}


def rows(saved: dict[str, Any], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(saved["files"][f"{name}.csv"], newline="")))


def test_every_figure_has_its_data(saved: dict[str, Any]) -> None:
    assert len(saved["files"]) == saved["buttons"] == saved["reached"] > 30
    for name in saved["files"]:
        # The last metric of the benchmarks is none of BLiMP's: there is nothing to show, and nothing to save.
        assert bool(rows(saved, name.removesuffix(".csv"))) == (name != "elsewhere-benchmarks-blimp.csv"), name


def test_the_data_of_a_heat_map_is_of_the_last_choice(saved: dict[str, Any]) -> None:
    table = tidy.of(saved["run"].table("convergence"), seed=2)
    want = {(f"L{row.layer}", row.step): row.cka_debiased for row in table.itertuples()}
    found = {(row["site"], int(row["step"])): float(row["CKA"]) for row in rows(saved, "1-1-convergence-mlp_out")}
    assert found == pytest.approx(want, abs=5e-4)  # a page holds three digits


def test_the_data_of_a_curve_has_its_interval(saved: dict[str, Any]) -> None:
    table = saved["run"].table("surprisal").set_index(["seed", "step"])
    found = rows(saved, "1-1-behaviour-surprisal")
    assert len(found) == len(table)
    for row in found:
        want = table.loc[(int(row["curve"].removeprefix("seed ")), int(row["step"]))]
        got = [float(row[name]) for name in ("surprisal (nats per token)", "low", "high")]
        assert got == pytest.approx([want["surprisal"], want["low"], want["high"]], abs=5e-5)


def test_bars_of_two_levels_have_a_column_for_each(saved: dict[str, Any]) -> None:
    found = rows(saved, "tokens-classes")
    assert {row["size"] for row in found} == {"'=1+1"}
    assert all(re.fullmatch(r"\d+ %", row["training"]) for row in found)
    got = sum(float(row["tokens (%)"]) for row in found if row["training"] == "10 %")
    assert got == pytest.approx(100, abs=0.1)  # every token has one class


def test_a_name_is_no_formula(saved: dict[str, Any]) -> None:
    told = json.dumps(saved["files"])
    assert "'=1+1" in told
    assert not re.search(r'(^|,|\\n)"?=1', told)


def test_a_choice_without_data_gives_an_empty_file(browser: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path, depths={"0.4m": 2}, heads=2, seeds=(1, 2), steps=(0, 4, 16), components=("mlp_out",))
    table = run.table("convergence").assign(cka_debiased=float("nan"))
    changed = replace(run, tables={"convergence": table, "settling": run.table("settling")})
    with reading(browser, write_report(changed, tmp_path / "report.html"), height=800) as page:
        choose_last(page)
        assert page.evaluate(SAVE)["0.4m-convergence-mlp_out.csv"].strip() == ""
