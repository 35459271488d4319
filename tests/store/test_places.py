"""A file's place in a run is a claim: what is in the wrong place, or of other files, is noticed when it is opened."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from phasescope.analyses import RunReader, analyse
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store import (
    Entry,
    MisplacedError,
    RunFolder,
    ShardKey,
    open_container,
    verify,
    write_container,
    write_index,
)
from phasescope.store.places import place_of
from tests.store.conftest import CONTEXT, KEYS, OUTPUTS, make_inputs, make_manifest, write_shard

ONE, LAST, TWO = KEYS


def problems(folder: RunFolder) -> dict[str, str]:
    return {f.path.relative_to(folder.path).as_posix(): f.problem for f in verify(folder) if f.problem}


def named(folder: RunFolder, path: Path) -> str:
    return path.relative_to(folder.path).as_posix()


@pytest.mark.parametrize(
    ("copied", "over", "said"),
    [(ONE, TWO, "its seed is 1, not 2"), (ONE, LAST, "its step is 0, not 143000"), (LAST, ONE, "143000, not 0")],
)
def test_a_shard_in_the_place_of_another(folder: RunFolder, copied: ShardKey, over: ShardKey, said: str) -> None:
    shutil.copy(folder.shard(copied), folder.shard(over))
    with pytest.raises(MisplacedError, match=said), folder.open_shard(over):
        pass
    assert said in problems(folder)[named(folder, folder.shard(over))]
    assert said.split(",")[0] in problems(folder)[named(folder, folder.shard(over))]


def test_a_shard_of_another_size_and_of_other_inputs(folder: RunFolder) -> None:
    folder.shard(ShardKey("31m", 1, 0)).parent.mkdir(parents=True)
    shutil.copy(folder.shard(ONE), folder.shard(ShardKey("31m", 1, 0)))
    with pytest.raises(MisplacedError, match="its size is 14m, not 31m"), folder.open_shard(ShardKey("31m", 1, 0)):
        pass
    write_shard(folder, TWO, inputs=make_inputs(seed=1).hash)
    with pytest.raises(MisplacedError, match="its inputs is"), folder.open_shard(TWO):
        pass


def test_the_inputs_of_another_run(folder: RunFolder) -> None:
    make_inputs(seed=1).save(folder.inputs)
    with pytest.raises(MisplacedError, match="its hash is"):
        _ = RunReader(folder).inputs
    assert "its hash is" in problems(folder)["inputs.h5"]


def test_a_run_may_lie_anywhere(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    for path in (Path("checkpoints/14m/seed1/step00000000.h5"), folder.shard(ONE).resolve()):
        place = place_of(path)
        assert place is not None
        assert place.says["step"] == 0
        assert place.run.resolve() == folder.path.resolve()
        with open_container(path, "shard"):
            pass
    assert place_of(Path("notes.h5")) is None


def test_a_cohort_of_other_shards(folder: RunFolder) -> None:
    with folder.open_cohort("14m", 0) as cohort:
        assert cohort.read("seeds").tolist() == [1, 2]
    write_shard(folder, TWO, value=-1.0)
    with pytest.raises(MisplacedError, match=r"seed2/step00000000\.h5, which has other contents now"):
        folder.open_cohort("14m", 0).__enter__()
    folder.shard(TWO).unlink()
    with pytest.raises(MisplacedError, match="which is gone"):
        folder.open_cohort("14m", 0).__enter__()
    assert "which is gone" in problems(folder)["cohorts/14m/step00000000.h5"]


def test_comparisons_and_scores_of_other_files(folder: RunFolder) -> None:
    with folder.open_shard(ONE) as one, folder.open_shard(LAST) as last, folder.open_shard(TWO) as two:
        digests = {ONE: one.digest, LAST: last.digest, TWO: two.digest}
    predicted, common = np.zeros((2, OUTPUTS, CONTEXT - 1)), {"inputs": make_inputs().hash, "seed": 1, "step": 0}
    path = folder.step_comparison(ONE)

    def compare(shards: tuple[ShardKey, ...]) -> None:
        said = {**common, "size": "14m", "last_step": 143000, "shards": " ".join(digests[key] for key in shards)}
        write_container(path, "comparison", {"kl_last": Entry(predicted)}, said)

    compare((ONE, LAST))
    with open_container(path, "comparison"):
        pass
    compare((ONE, TWO))
    with pytest.raises(MisplacedError, match="step00143000"), open_container(path, "comparison"):
        pass
    compare((ONE,))
    with pytest.raises(PhasescopeError, match="names 1 shards, and is of 2"), open_container(path, "comparison"):
        pass


def test_a_shard_that_is_gone_ends_an_analysis_and_a_missing_end_is_told(folder: RunFolder) -> None:
    folder.shard(LAST).unlink()
    assert "was there and is gone" in problems(folder)[named(folder, folder.shard(LAST))]
    with pytest.raises(PhasescopeError, match=r"has lost last steps that it had .14m/seed1/step143000"):
        analyse(RunReader(folder), ["surprisal"])
    write_index(folder)  # As a capture does that was stopped before it.
    assert "is not there" in problems(folder)[named(folder, folder.shard(LAST))]
    with pytest.warns(PhasescopeWarning, match="of the final state is of an earlier one"):
        RunReader(folder).require_whole()
    manifest = make_manifest()
    manifest["failed"] = [{"size": "14m", "seed": 1, "step": 143000, "reason": "truncated"}]
    folder.write_manifest(manifest)
    assert problems(folder) == {}
    RunReader(folder).require_whole()


@pytest.mark.parametrize("name", ["outputs/surprisal", "activations/blocks.0.hook_mlp_out", "spectra/x"])
def test_arrays_that_claim_more_than_there_is_are_refused_before_they_are_made(folder: RunFolder, name: str) -> None:
    with h5py.File(folder.shard(ONE), "r+") as file:
        if name in file:
            del file[name]
        made = file.create_dataset(name, shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
        made.attrs["axes"] = np.bytes_(b"x y")
    with folder.open_shard(ONE) as shard:
        for ask in (lambda: shard.read(name), lambda: shard.shape(name), shard.recompute_digest):
            with pytest.raises(PhasescopeError, match="1000000 × 1000000"):
                ask()
    assert "1000000 × 1000000" in problems(folder)[named(folder, folder.shard(ONE))]


def test_compressed_copies_are_read(folder: RunFolder) -> None:
    # The digest is of the contents: a run may be packed with h5repack.
    with h5py.File(folder.shard(ONE), "r+") as file:
        values, attrs = file["outputs/surprisal"][...], dict(file["outputs/surprisal"].attrs)
        del file["outputs/surprisal"]
        made = file.create_dataset("outputs/surprisal", data=values, compression="gzip", chunks=values.shape)
        for key, value in attrs.items():
            made.attrs.create(key, value, dtype=h5py.string_dtype("utf-8", len(value)))
    assert problems(folder) == {}


def _external(file: h5py.File, elsewhere: Path) -> None:
    file["outputs/surprisal"] = h5py.ExternalLink(str(elsewhere), "/outputs/surprisal")


def _soft(file: h5py.File, elsewhere: Path) -> None:
    file["elsewhere"] = h5py.ExternalLink(str(elsewhere), "/")
    file["outputs/surprisal"] = h5py.SoftLink("/elsewhere/outputs/surprisal")


def _raw(file: h5py.File, elsewhere: Path) -> None:
    file.create_dataset("outputs/surprisal", (2, 5), "f4", external=[(str(elsewhere), 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, elsewhere: Path) -> None:
    layout = h5py.VirtualLayout((2, 5), "f4")
    layout[...] = h5py.VirtualSource(str(elsewhere), "outputs/surprisal", (2, 5))
    file.create_virtual_dataset("outputs/surprisal", layout)


@pytest.mark.parametrize("point", [_external, _soft, _raw, _virtual])
def test_nothing_outside_a_file_is_read_through_it(
    folder: RunFolder, another_run: Callable[[], RunFolder], point: Callable[[h5py.File, Path], None]
) -> None:
    elsewhere = another_run().shard(ONE)
    with h5py.File(folder.shard(ONE), "r+") as file:
        del file["outputs/surprisal"]
        point(file, elsewhere)
    with folder.open_shard(ONE) as shard:
        with pytest.raises(PhasescopeError, match="points to other files"):
            shard.read("outputs/surprisal")
        with pytest.raises(PhasescopeError, match="points to other files"):
            shard.recompute_digest()


def test_an_index_that_points_elsewhere(folder: RunFolder, another_run: Callable[[], RunFolder]) -> None:
    elsewhere = another_run().shard(ONE)
    with h5py.File(folder.index, "r+") as file:
        del file["checkpoints/14m/seed1/step00000000"]
        file["checkpoints/14m/seed1/step00000000"] = h5py.ExternalLink(str(elsewhere), "/")
    assert f"points to {elsewhere}" in problems(folder)["run.h5"]


def test_a_cohort_whose_seeds_are_no_list_is_damaged(folder: RunFolder) -> None:
    path = folder.cohort("14m", 0)
    with h5py.File(path, "r+") as file:
        del file["seeds"]
        file["seeds"] = 3.5
    with pytest.raises(PhasescopeError, match="is damaged"), folder.open_cohort("14m", 0):
        pass
