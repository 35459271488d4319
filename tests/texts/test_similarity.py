from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts import Vectors, contextual_similarity

VEC = "3 2\ncat 1.0 0.0\ndog 0.8 0.6\nsky 0.0 -1.0\n"


@pytest.mark.parametrize("weighted", [False, True])
def test_similarity_is_the_cosine_with_the_mean_of_the_context(weighted: bool) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(30, 4))
    vectors[[3, 11, 12]] = np.nan
    place = np.concatenate([np.arange(12), np.arange(18)])
    found = contextual_similarity(vectors, place, weighted=weighted)
    for i in range(30):
        before = [(k + 1, vectors[i - place[i] + k]) for k in range(place[i])]
        known = [(weight if weighted else 1, vector) for weight, vector in before if not np.isnan(vector).any()]
        if not known or np.isnan(vectors[i]).any():
            assert np.isnan(found[i])
            continue
        mean = sum(weight * vector for weight, vector in known) / sum(weight for weight, _ in known)
        cosine = mean @ vectors[i] / np.linalg.norm(mean) / np.linalg.norm(vectors[i])
        assert found[i] == pytest.approx(cosine, abs=1e-9)
    assert np.isnan(found[[0, 12]]).all()


def test_vectors_from_files(tmp_path: Path) -> None:
    path = tmp_path / "few.vec"
    path.write_text(VEC, encoding="utf-8")
    found = Vectors.read(path).of(["dog", "never", "cat"])
    np.testing.assert_allclose(found[[0, 2]], [[0.8, 0.6], [1.0, 0.0]], rtol=1e-6)
    assert np.isnan(found[1]).all()
    from gensim.models import KeyedVectors

    KeyedVectors.load_word2vec_format(str(path)).save_word2vec_format(str(tmp_path / "few.bin"), binary=True)
    np.testing.assert_allclose(Vectors.read(tmp_path / "few.bin").of(["sky"]), [[0.0, -1.0]])


def test_vectors_trained_on_a_corpus_are_kept_and_know_parts_of_words(tmp_path: Path) -> None:
    documents = [["the", "cat", "chased", "the", "mouse"], ["a", "dog", "chased", "a", "cat"]] * 20
    kept = tmp_path / "vectors.bin"
    made = Vectors.train(documents, kept).of(["cat", "cats"])
    assert np.isfinite(made).all()  # cats was never seen
    np.testing.assert_array_equal(Vectors.train([], kept).of(["cat", "cats"]), made)  # read, not trained again
    np.testing.assert_array_equal(Vectors.train(documents, tmp_path / "again.bin").of(["cat", "cats"]), made)
    with pytest.raises(PhasescopeError, match="too short for word vectors"):
        Vectors.train([["once"]], tmp_path / "none.bin")


@pytest.mark.parametrize("name", ["wrong.vec", "wrong.bin"])
def test_files_that_hold_no_vectors_are_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no vectors here\n", encoding="utf-8")
    with pytest.raises(PhasescopeError, match=rf"{name} holds no word vectors"):
        Vectors.read(tmp_path / name)
    with pytest.raises(PhasescopeError, match="no file of word vectors"):
        Vectors.read(tmp_path / "absent.vec")
