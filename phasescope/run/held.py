"""What a run holds: which checkpoints, sites and layers, and the tokens that the models read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.analyses import RunReader
from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.run.asked import Asked
from phasescope.store import RunFolder

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor
    from xarray import Dataset

    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs


class Held(Asked):
    """What there is in a run, without computing anything."""

    folder: RunFolder
    reader: RunReader

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def manifest(self) -> dict[str, Any]:
        """What was asked for and with what, as in `run.json`."""
        return self.reader.manifest

    @property
    def inputs(self) -> Inputs:
        """What the models read: tokens, sampled positions, words, tags, counts."""
        return self.reader.inputs

    @property
    def sizes(self) -> list[str]:
        return self.reader.sizes

    def seeds(self, size: str | None = None) -> list[int]:
        return self.reader.seeds(self.reader.size(size))

    def steps(self, size: str | None = None, seed: int | None = None) -> list[int]:
        return self.reader.steps(self.reader.size(size), seed)

    def sites(self, size: str | None = None) -> list[str]:
        """Full names of the sites recorded of a size, by layer: `blocks.0.hook_mlp_out`."""
        size = self.reader.size(size)
        return self.reader.recorded([key for key in self.reader.keys if key.size == size][-1])

    @property
    def components(self) -> list[str]:
        """The components recorded of any size, in the order of the network: `attn_out`, `mlp_out`."""
        from phasescope.hooks import COMPONENTS, Site

        found = {Site.parse(name).component for size in self.sizes for name in self.sites(size)}
        return [name for name in COMPONENTS if name in found]

    def layers(self, size: str | None = None) -> list[int]:
        """The layers of a size of which any site was recorded."""
        from phasescope.hooks import Site

        return sorted({Site.parse(name).layer for name in self.sites(size)})

    @cached_property
    def tokens(self) -> DataFrame:
        """What the models read, a row per token: sequence, position, token, text, word, tag, sampled.

        text: what the token stands for, where the suite (and so its tokenizer) lies where it was captured from; missing
        otherwise, and `attrs["text"]` says why. tag: of its word, where the texts came with tags. sampled: whether
        activations were kept at this position.
        """
        from phasescope.run.tokens import token_table

        return token_table(self.reader)

    def token_surprisal(
        self,
        sizes: str | Sequence[str] | None = None,
        seeds: int | Sequence[int] | None = None,
        steps: str | int | Sequence[int | str] = "all",
    ) -> DataFrame:
        """Surprisal and entropy (nats) of every predicted token: size, seed, step, the columns of `tokens`, the two.

        sizes, seeds, steps: of which checkpoints (steps as for `capture`: `"log"`, `"last"`, `[0, 512]`); a checkpoint
            has as many rows as its output sequences have tokens, but for the first of each, which nothing predicts.

        Raises `PhasescopeError` for what is not there, with the nearest; for a run without outputs.
        """
        from phasescope.analyses.choosing import chosen
        from phasescope.run.tokens import token_surprisal

        return token_surprisal(self.reader, self.tokens, chosen(self.reader, sizes, seeds, steps))

    def to_xarray(
        self,
        size: str | None = None,
        sites: str | Sequence[str] | None = None,
        steps: str | int | Sequence[int | str] = "log",
    ) -> Dataset:
        """Activations and outputs of one size as an `xarray.Dataset`, in memory (extra `export`).

        Variables: each component `[seed, step, layer, sample, …]` (heads and features by their names: `head`,
        `d_model`), `surprisal` and `entropy` `[seed, step, window, predicted]`; coordinates of samples: sequence,
        position, token. NaN where a checkpoint lacks something.

        sites, steps: as for `map`: all of a large run may not fit.

        Raises `PhasescopeError` for what is not there, with the nearest, and where xarray is not installed.
        """
        from phasescope.analyses.choosing import chosen, sites_named
        from phasescope.run.arrays import to_xarray

        size = self.reader.size(size)
        return to_xarray(
            self.reader, size, sites_named(self.reader, size, sites), chosen(self.reader, size, None, steps)
        )

    def probed(self, name: str, seed: int, step: int, size: str | None = None) -> dict[str, Tensor]:
        """What a probe of one's own gave of a checkpoint: arrays `[sequences, …]` by name.

        Raises `PhasescopeError` for a probe, seed or step that is not there, with the nearest; where the probe failed,
        with the reason.
        """
        import torch

        key, place = self.reader.key(self.reader.size(size), seed, step), name.replace(":", ".")
        with self.folder.open_shard(key) as shard:
            if f"failed_probes/{place}" in shard.names("failed_probes"):
                reason = str(shard.read(f"failed_probes/{place}")[0])
                raise PhasescopeError(f"The probe {name} failed at {key.label}, so there is nothing: {reason}.")
            arrays = shard.names("probes")
            found = {array.rpartition("/")[2]: array for array in arrays if array.split("/")[1] == place}
            if not found:
                known = dict.fromkeys(array.split("/")[1].replace(".", ":", 1) for array in arrays)
                raise PhasescopeError(f"{self.path} has nothing of a probe {name!r}. {did_you_mean(name, known)}")
            return {array: torch.from_numpy(shard.read(place)) for array, place in found.items()}

    def checkpoint(self, size: str | None = None, seed: int | None = None, step: int | None = None) -> Checkpoint:
        """One checkpoint of the suite, if it lies where it was captured from: `.model()`, `.tokenizer()`.

        seed, step: the first and the last there are unless they are said. Of a suite that has moved, or is on the hub:
        `ps.open_suite(…).checkpoint(size, seed, step)`.

        Raises `PhasescopeError` where the run or the suite does not hold it.
        """
        from phasescope.visits.recorded import suite_of

        size = self.reader.size(size)
        seed = self.seeds(size)[0] if seed is None else seed
        key = self.reader.key(size, seed, self.steps(size, seed)[-1] if step is None else step)
        return suite_of(self.manifest).checkpoint(key.size, key.seed, key.step)
