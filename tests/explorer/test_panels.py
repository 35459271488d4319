"""What panels read and say, without a browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.explorer.choice import Choice, among, asked_in, held, resolve, step_at
from phasescope.explorer.neighbours import along, nearest
from phasescope.explorer.panels import Panels
from phasescope.explorer.recorded import Recorded
from phasescope.explorer.site_panels import SitePanels
from phasescope.explorer.tokens import TokenNames
from tests.conftest import make_tokenizer


def panels_of(run: Path) -> tuple[Recorded, Panels, SitePanels]:
    recorded = Recorded(ps.open_run(run))
    names = TokenNames(recorded.run.inputs, make_tokenizer)
    names.open_aside().join()
    return recorded, Panels(recorded, names), SitePanels(recorded)


def test_slices_are_the_runs_activations(explored: Path) -> None:
    recorded, _, _ = panels_of(explored)
    for component, head in (("mlp_out", None), ("z", None), ("z", 1)):
        choice = Choice("tiny", component, 1, head)
        key = recorded.key("tiny", 1, 4)
        whole = recorded.run.layer(1, component, "tiny", head).activations(1, 4).flatten(1)
        np.testing.assert_array_equal(recorded.samples(key, choice.site, head), whole.numpy())
        np.testing.assert_array_equal(recorded.slice(key, choice.site, head, 2), whole.numpy()[6:9])


def test_convergence_draws_the_table_and_seeds_keep_their_colour(explored: Path) -> None:
    recorded, _, of_site = panels_of(explored)
    choice = Choice("tiny", "mlp_out", 1, None)
    table = recorded.run.layer(1, "mlp_out", "tiny").convergence()

    def curve(seeds: list[int]) -> tuple[list[float], str]:
        figure, says = of_site.show("convergence", choice, seeds, None, None, 4)
        assert says.startswith("L1.mlp_out of tiny settles (CKA ≥ 0.9 from there on): ")
        line = next(trace for trace in figure.plotly().data if trace.name == "seed 2")
        return list(line.y), line.line.color

    both, alone = curve([1, 2]), curve([2])
    assert both == alone
    np.testing.assert_allclose(alone[0], table[table["seed"] == 2]["cka"], atol=5e-5)  # Drawn to four digits.
    assert (
        "No seed is chosen"
        in of_site.show("convergence", choice, [], None, None, 4)[0].plotly().layout.annotations[0].text
    )


def test_bands_are_those_of_the_table_with_their_labels_as_text(explored: Path) -> None:
    recorded, _, of_site = panels_of(explored)
    assert recorded.phase_curves("tiny") == ["surprisal"]
    assert recorded.phase_curves("small") == []
    figure, _ = of_site.show("convergence", Choice("tiny", "mlp_out", 1, None), [1], None, "surprisal", 4)
    bands = [shape for shape in figure.plotly().layout.shapes if shape.type == "rect"]
    # Flat has no colour; steps 1, 4 and 16 are drawn at log2(1 + step).
    assert [(band.x0, band.x1) for band in bands] == [
        (1, pytest.approx(np.log2(5), abs=1e-3)),
        (pytest.approx(np.log2(5), abs=1e-3), pytest.approx(np.log2(17), abs=1e-3)),
    ]
    assert figure.plotly().layout.annotations[-1].text == "&lt;b&gt;slowly&lt;/b&gt;<br>falling"
    assert of_site.beside(Choice("small", "mlp_out", 1, None)).endswith("phases")


def test_rank_and_spectrum_agree(explored: Path) -> None:
    recorded, panels, of_site = panels_of(explored)
    choice = Choice("tiny", "z", 1, 0)
    assert {"W_out", "OV", "QK"} <= set(of_site.matrices(choice))
    figure, _ = of_site.show("rank", choice, [1], "OV", None, 4)
    spectra, says = panels.spectrum(choice, 1, "OV", 16)
    assert says == "Head 0 of 2."
    values = np.array([value for value in spectra.plotly().data[0].y if value is not None])
    shares = values / values.sum()
    drawn = float(np.exp(-(shares * np.log(shares)).sum()))
    table = recorded.run.table("rank")
    row = table[(table["size"] == "tiny") & (table["seed"] == 1) & (table["step"] == 16) & (table["layer"] == 1)]
    row = row[(row["component"] == "OV") & (row["head"] == 0)]
    # The figure's values are drawn to four digits.
    assert drawn == pytest.approx(float(row["effective_rank"].iloc[0]), rel=1e-2)
    assert figure.plotly().data[-1].y[-1] == pytest.approx(float(row["proportional"].iloc[0]), abs=1e-3)
    # What the layer does not have cannot be chosen, whatever a browser sends: the first is shown.
    odd, first = (of_site.show("rank", choice, [1], name, None, 4)[0].plotly() for name in ("W_gate", "activations"))
    assert odd == first


def test_tokens_are_those_that_were_recorded(explored: Path) -> None:
    recorded, panels, _ = panels_of(explored)
    choice = Choice("tiny", "mlp_out", 0, None)
    figure, text, note, says = panels.tokens(choice, 1, 5, "cosine", 4)
    assert note.startswith("3 of the 32 tokens of each text were recorded")
    assert says == ""
    assert [option["value"] for option in panels.token_choices(5)] == [15, 16, 17]
    inputs = recorded.run.inputs
    tokenizer = make_tokenizer()
    pieces = [tokenizer.decode([token]) for token in inputs.tokens[5, inputs.positions[5]].tolist()]
    named = [piece.strip() or "␣" for piece in pieces]
    assert list(figure.plotly().data[0].text[0]) == [piece.replace("<", "&lt;").replace(">", "&gt;") for piece in named]
    layer = recorded.run.layer(0, "mlp_out", "tiny")
    rows, last = layer.activations(1, 1)[15:18].double(), layer.activations(1, 16)[15:18].double()
    expected = torch.nn.functional.cosine_similarity(rows, last).numpy()
    np.testing.assert_allclose(figure.plotly().data[0].z[1], expected, atol=6e-4)  # Drawn to three digits.
    running = "".join(part if isinstance(part, str) else part["text"] for part in text)
    assert running.replace(" ", "") == tokenizer.decode(inputs.tokens[5].tolist()).replace(" ", "")


def test_one_token_of_each_text_is_shown_beside_those_of_other_texts(captured: Path) -> None:
    _, panels, _ = panels_of(captured)
    figure, _, note, _ = panels.tokens(Choice("tiny", "mlp_out", 0, None), 1, 3, "norm", 4)
    assert "One token of each text was recorded, of 32 that were read" in note
    assert len(panels.token_choices(3)) == len(figure.plotly().data[0].z[0]) == 12


def test_without_tables_the_command_that_makes_them_is_named(captured: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(captured, bare, ignore=shutil.ignore_patterns("results"))
    _, _, of_site = panels_of(bare)
    choice = Choice("tiny", "mlp_out", 0, None)
    for figure, analysis in (
        (of_site.show("convergence", choice, [1], None, None, 4)[0], "convergence"),
        (of_site.show("rank", choice, [1], "activations", None, 4)[0], "rank"),
    ):
        said = figure.plotly().layout.annotations[0].text.replace("<br>", " ")
        assert said.endswith(f"phasescope analyse {bare} {analysis}")


def test_without_a_tokenizer_tokens_are_named_by_their_words(explored: Path) -> None:
    inputs = ps.open_run(explored).inputs

    def gone() -> object:
        raise PhasescopeError("The suite has moved.")

    names = TokenNames(inputs, gone)
    names.open_aside().join()
    assert names.missing == "The suite has moved."
    for position in range(inputs.context):
        word = inputs.word_ids[0, position]
        assert names.at(0, position) == (inputs.words[word] if word >= 0 else f"#{inputs.tokens[0, position]}")


def test_the_nearest_neighbours_are_those_of_a_search_through_all() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 6)).astype(np.float32)
    rows[7], rows[8] = 0, np.nan
    found = nearest(rows, 3)
    cosines = {
        other: float(rows[other] @ rows[3] / np.linalg.norm(rows[other]) / np.linalg.norm(rows[3]))
        for other in range(40)
        if other not in (3, 7, 8)
    }
    assert [neighbour.sample for neighbour in found] == sorted(cosines, key=lambda other: -cosines[other])[:5]
    assert [neighbour.cosine for neighbour in found] == pytest.approx([cosines[n.sample] for n in found], abs=1e-6)
    assert nearest(rows, 7) == []
    assert nearest(rows[:1], 0) == []
    with pytest.raises(ValueError, match="no sample 40"):
        nearest(rows, 40)
    assert np.isnan(along(rows[7:8], rows[3:4])).all()


@pytest.mark.parametrize(
    ("asked", "choice", "said"),
    [
        ({}, Choice("small", "mlp_out", 1, None), []),
        ({"size": "tiny", "component": "z", "layer": "0", "head": "1"}, Choice("tiny", "z", 0, 1), []),
        (
            {"layer": "-4"},
            Choice("small", "mlp_out", 0, None),
            ["There is no layer -4 of mlp_out in small."],
        ),
        ({"layer": "two"}, Choice("small", "mlp_out", 1, None), ["'two' is no layer: it takes a whole number"]),
        ({"size": "tny"}, Choice("small", "mlp_out", 1, None), ["There is no size 'tny'. Did you mean tiny?"]),
        (
            {"component": "z", "head": "7"},
            Choice("small", "z", 1, 2),
            ["There is no head 7 of z in small."],
        ),
        ({"head": "0"}, Choice("small", "mlp_out", 1, None), ["mlp_out has no heads: the whole of it is shown."]),
    ],
)
def test_what_is_asked_for_is_found_or_the_nearest(
    explored: Path, asked: dict[str, str], choice: Choice, said: list[str]
) -> None:
    recorded = Recorded(ps.open_run(explored))
    found, notices = resolve(recorded, asked)
    assert found == choice
    assert len(notices) == len(said)
    assert all(notice.startswith(begin) for notice, begin in zip(notices, said, strict=True))
    assert held(recorded, found.as_record()) == found


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (
            {"size": "tiny", "component": "mlp_out", "layer": 99, "head": None},
            "There is no layer 99 of mlp_out in tiny",
        ),
        ({"size": "<b>", "component": "mlp_out", "layer": 1}, "There is no size '<b>'"),
        ({"size": ["tiny"], "component": {}, "layer": []}, "There is no size"),
        ({"layer": [1]}, "[1] is no layer"),
        (None, "Nothing is chosen yet"),
        ("../../etc", "Nothing is chosen yet"),
    ],
)
def test_a_place_that_no_page_would_send_is_refused(explored: Path, sent: object, said: str) -> None:
    with pytest.raises(PhasescopeError) as caught:
        held(Recorded(ps.open_run(explored)), sent)
    assert str(caught.value).startswith(said)


def test_numbers_that_no_page_would_send_are_refused(explored: Path) -> None:
    recorded = Recorded(ps.open_run(explored))
    choice = Choice("tiny", "mlp_out", 1, None)
    assert [step_at(recorded, choice, place) for place in (0, 3, 10**9)] == [0, 16, 16]
    for place in (-1, "x", None, [2]):
        with pytest.raises(PhasescopeError, match="place on the slider"):
            step_at(recorded, choice, place)
    with pytest.raises(PhasescopeError, match=r"There is no text 8\. The nearest is 7"):
        among("text", 8, range(8))


def test_only_known_names_are_read_from_an_address() -> None:
    assert asked_in("?layer=3&size=1m&token=x&evil=1") == {"layer": "3", "size": "1m"}
    assert asked_in("") == {}


def test_tables_of_other_shards_are_told(explored: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(explored, moved)
    (moved / "checkpoints" / "tiny" / "seed2" / "step00000001.h5").unlink()
    _, _, of_site = panels_of(moved)
    assert (
        "made of other checkpoints"
        in of_site.show("convergence", Choice("tiny", "mlp_out", 0, None), [1], None, None, 4)[1]
    )


def test_the_weights_of_experts_have_names_and_ranks_of_their_own(texts_file: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "olmoe", hidden_size=16, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, num_experts=3,
        num_experts_per_tok=2, vocab_size=320, max_position_embeddings=64, pad_token_id=0,
    )  # fmt: skip
    make_tokenizer().save_pretrained(tmp_path / "suite")  # type: ignore[attr-defined]
    for step in (0, 1):
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "suite" / "tiny" / f"step{step}")
    run = ps.capture(tmp_path / "suite", texts_file, tmp_path / "run", sequences=4, context=16, sites="mlp_out")
    run.analyse("rank")
    recorded, panels, of_site = panels_of(run.path)
    (seed,), choice = recorded.seeds("tiny"), Choice("tiny", "mlp_out", 0, None)
    assert {"experts.W_in", "experts.W_out", "OV", "W_router"} <= set(of_site.matrices(choice))
    _, says = of_site.show("rank", choice, [seed], "experts.W_in", None, 1)
    assert says == "The median of 3 experts, and the range between them."
    assert panels.spectrum(choice, seed, "experts.W_in", 1)[1] == "Expert 0 of 3."
    assert panels.spectrum(choice, seed, "OV", 1)[1] == "Head 0 of 2."
