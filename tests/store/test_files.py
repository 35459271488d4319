import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import replacing, write_array


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As a disk that is full after so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# 300 numbers fit into the C library's buffer: numpy.save 2.4.6 leaves such a file truncated, without an error.
@pytest.mark.parametrize("numbers", [300, 600, 100_000])
def test_an_array_on_a_full_disk_is_told_and_leaves_nothing(numbers: int, tmp_path: Path):
    with pytest.raises(PhasescopeError, match="no space left"), largest_file(2000):
        write_array(tmp_path / "numbers.npy", np.arange(numbers))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("array", [np.arange(5), np.zeros((3, 0)), np.ones((4, 6), np.float32)[:, ::2], np.array(2.5)])
def test_an_array_is_read_back_by_numpy(array: np.ndarray, tmp_path: Path):
    write_array(tmp_path / "numbers.npy", array)
    read = np.load(tmp_path / "numbers.npy")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_full_disk_that_a_library_tells_of_in_words_only(tmp_path: Path):
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({f"word{number}": number for number in range(500)}, unk_token="word0"))
    with (
        pytest.raises(PhasescopeError, match="no space left"),
        replacing(tmp_path / "tokenizer.json") as temporary,
        largest_file(2000),
    ):
        tokenizer.save(str(temporary))
