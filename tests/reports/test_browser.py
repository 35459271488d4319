"""The report in a real browser: drawn, without errors, without the network, and following the reader's choices."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from phasescope.reports import tidy, write_report
from tests.reports.tables import SyntheticRun, make_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

# Runs in the page: collects what goes wrong, makes every last choice, opens what is folded, and writes down what is
# drawn then.
WATCH = """<script>
const wrong = [];
addEventListener("error", (event) => wrong.push(event.message));
addEventListener("unhandledrejection", (event) => wrong.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => wrong.push("asked for " + event.blockedURI));
</script>"""
CHOOSE = """<script>
const drawn = () => [...document.querySelectorAll("figure")].map((figure) => {
  const plot = figure.querySelector(".plot");
  const data = plot.data || [];
  return {
    title: figure.querySelector("h4").textContent,
    drawn: Boolean(plot.querySelector(".main-svg")),
    room: Math.round(plot.getBoundingClientRect().width),
    wide: plot.layout ? Math.round(plot.querySelector(".main-svg").getBoundingClientRect().width) : 0,
    type: data.length ? data[0].type : null,
    z: data.length && data[0].z ? data[0].z : null,
    hover: data.length && data[0].z ? [data[0].text[1][0], data[0].customdata[1][2]] : null,
  };
});
const note = (name) => {
  const element = document.createElement("output");
  element.id = name;
  element.textContent = JSON.stringify({ figures: drawn(), wrong, ink: getComputedStyle(document.body).color });
  document.body.append(element);
};
setTimeout(() => {
  note("first");
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  for (const select of document.querySelectorAll("select")) {
    select.selectedIndex = select.options.length - 1;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
}, 3000);
setTimeout(() => note("chosen"), 7500);
</script>"""


def in_browser(page: Path, *options: str) -> dict[str, Any]:
    """What the page holds at first, and after every last choice was made."""
    text = page.read_text(encoding="utf-8")
    text = text.replace("<head>", "<head>" + WATCH, 1).replace("</body>", CHOOSE + "</body>", 1)
    page.write_text(text, encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,60000",
        f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=11000", *options, "--dump-dom",
        page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.findall(r'<output id="(\w+)">(.*?)</output>', dom, re.DOTALL)
    return {name: json.loads(html.unescape(content)) for name, content in found}


@pytest.mark.parametrize("packed", [False, True])
def test_the_page_draws_itself_and_follows_choices(
    tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if packed:
        monkeypatch.setattr("phasescope.reports.html._LARGE", 1_000_000)
    depths = {"0.4m": 2, "1.6m": 2}
    run = make_run(
        tmp_path, depths=depths, heads=2, seeds=(1, 2), steps=(0, 4, 16, 64), components=("mlp_out", "ov_out")
    )
    seen = in_browser(write_report(run, tmp_path / "report.html"))
    for moment in seen.values():
        assert moment["wrong"] == []
    folded = {
        "0.4m",
        "blimp",
        "Phases of unigram",
        "W_Q (weight)",
        "W_K (weight)",
        "W_V (weight)",
        "W_O (weight)",
        "W_E and W_U",
    }
    for figure in seen["first"]["figures"]:
        assert figure["drawn"] == (figure["title"] not in folded), figure["title"]
    for figure in seen["chosen"]["figures"]:
        if figure["title"] == "blimp":  # has no such metric, and says so
            continue
        assert figure["drawn"], figure["title"]
        assert figure["wide"] == figure["room"] > 500
    before, after = (_heatmap(seen[moment]) for moment in ("first", "chosen"))
    assert before["hover"] == after["hover"] == ["L1", 16]
    assert before["z"][1][2] == pytest.approx(_cka(run, "cka").median(), abs=5e-4)
    assert after["z"][1][2] == pytest.approx(_cka(run, "cka_debiased", seed=2).item(), abs=5e-4)


def _heatmap(moment: dict[str, Any]) -> dict[str, Any]:
    return next(f for f in moment["figures"] if f["title"] == "mlp_out" and f["type"] == "heatmap")


def _cka(run: SyntheticRun, column: str, seed: int | None = None) -> Any:
    table = tidy.whole(run.table("convergence"))
    return tidy.of(table, size="0.4m", component="mlp_out", layer=1, step=16, seed=seed)[column]


def test_the_page_is_dark_where_the_reader_wants_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, depths={"0.4m": 2}, heads=2, seeds=(1,), steps=(0, 4), components=("mlp_out",))
    light = in_browser(write_report(run, tmp_path / "light.html"), "--blink-settings=preferredColorScheme=1")
    dark = in_browser(write_report(run, tmp_path / "dark.html"), "--blink-settings=preferredColorScheme=0")
    assert light["first"]["ink"] == "rgb(27, 31, 38)"
    assert dark["first"]["ink"] == "rgb(231, 234, 238)"
