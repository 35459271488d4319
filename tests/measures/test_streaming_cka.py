from __future__ import annotations

import pytest
import torch

from phasescope.measures import StreamingCKA, linear_cka

# Both are float64; the stream's moments about an offset cancel a few digits of sixteen.
EXACT = 1e-9


def streamed(x: torch.Tensor, y: torch.Tensor, batch: int) -> StreamingCKA:
    stream = StreamingCKA()
    for start in range(0, len(x), batch):
        stream.update(x[start : start + batch], y[start : start + batch])
    return stream


def draw(n: int, p: int, q: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(n, p, generator=generator)
    return x, x[:, :1] + torch.randn(n, q, generator=generator)


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
@pytest.mark.parametrize(("n", "p", "q"), [(200, 8, 5), (30, 50, 20), (4, 3, 3)])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_batches_give_what_all_samples_together_give(n: int, p: int, q: int, batch: int, offset: float) -> None:
    x, y = draw(n, p, q)
    x, y = x + offset, 1e-3 * (y - offset)
    stream = streamed(x, y, batch)
    assert stream.samples == n
    for debiased in (False, True):
        assert float(stream.result(debiased)) == pytest.approx(float(linear_cka(x, y, debiased)), abs=EXACT)


def test_results_may_be_asked_for_in_between() -> None:
    x, y = draw(50, 6, 6)
    stream = StreamingCKA()
    for stop in range(10, 60, 10):
        stream.update(x[stop - 10 : stop], y[stop - 10 : stop])
        for debiased in (False, True):
            wanted = float(linear_cka(x[:stop], y[:stop], debiased))
            assert float(stream.result(debiased)) == pytest.approx(wanted, abs=EXACT)


def test_samples_that_drift_far_from_the_first_batch() -> None:
    x, y = draw(300, 6, 6)
    drift = torch.linspace(0, 1e3, 300)[:, None]
    x, y = x + drift, y + drift
    for debiased in (False, True):
        wanted = float(linear_cka(x, y, debiased))
        # The drift is variance itself, 10⁶ times the rest.
        assert float(streamed(x, y, 10).result(debiased)) == pytest.approx(wanted, abs=1e-7)


def test_memory_does_not_grow_with_samples() -> None:
    def bytes_held(stream: StreamingCKA) -> int:
        tensors = [value for value in vars(stream._sums).values() if isinstance(value, torch.Tensor)]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    x, y = draw(2000, 10, 10)
    assert bytes_held(streamed(x[:20], y[:20], 10)) == bytes_held(streamed(x, y, 10)) < 10_000


@pytest.mark.parametrize("nothing", [0.1, torch.nan, torch.inf])
def test_no_variance_or_no_number_is_nan(nothing: float) -> None:
    x = torch.full((30, 4), nothing, dtype=torch.float64)
    y = torch.randn(30, 4)
    for debiased in (False, True):
        assert streamed(x, y, 7).result(debiased).isnan()
        assert streamed(y, x, 7).result(debiased).isnan()


def test_too_few_samples_are_nan() -> None:
    x, y = draw(3, 4, 4)
    assert StreamingCKA().result().isnan()
    assert streamed(x[:1], y[:1], 1).result().isnan()
    assert streamed(x, y, 1).result(debiased=True).isnan()
    empty = StreamingCKA()
    empty.update(x[:0], y[:0])
    assert empty.samples == 0


def test_wrong_batches_are_named() -> None:
    stream = StreamingCKA()
    with pytest.raises(ValueError, match=r"\[4, 3\] and \[5, 3\]"):
        stream.update(torch.randn(4, 3), torch.randn(5, 3))
    with pytest.raises(ValueError, match=r"\[4\]"):
        stream.update(torch.randn(4), torch.randn(4, 1))
    stream.update(torch.randn(4, 3), torch.randn(4, 2))
    with pytest.raises(ValueError, match=r"\(3, 2\).*\[4, 3\] and \[4, 3\]"):
        stream.update(torch.randn(4, 3), torch.randn(4, 3))
    assert stream.samples == 4
