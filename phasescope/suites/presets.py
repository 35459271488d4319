"""Known suites on the hub. To add one, add an entry to `_PRESETS`; listing it then needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from phasescope.suites.suite import Checkpoint, Suite

# Pythia saved at 0, at the powers of two up to 512, and then every 1 000 steps to the end.
_PYTHIA_STEPS = (0, *(2**power for power in range(10)), *range(1000, 143_001, 1000))


@dataclass(frozen=True)
class Preset:
    """One known suite: where its checkpoints are, and which there are."""

    name: str
    about: str
    repository: str
    """The repository's id, with `{size}` and `{seed}` to fill in."""
    sizes: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    revision: str = "step{step}"

    def suite(self) -> Suite:
        """Its checkpoints. Nothing is looked up or downloaded."""
        return Suite(
            self.name,
            self.name,
            tuple(
                Checkpoint(
                    family=self.name,
                    size=size,
                    seed=seed,
                    step=step,
                    location=self.repository.format(size=size, seed=seed),
                    revision=self.revision.format(step=step),
                )
                for size in self.sizes
                for seed in self.seeds
                for step in self.steps
            ),
        )


_PRESETS = (
    Preset(
        name="pythia",
        about="Pythia, trained on the Pile (Biderman et al. 2023)",
        repository="EleutherAI/pythia-{size}",
        sizes=("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"),
        seeds=(0,),
        steps=_PYTHIA_STEPS,
    ),
    Preset(
        name="pythia-deduped",
        about="Pythia, trained on the deduplicated Pile (Biderman et al. 2023)",
        repository="EleutherAI/pythia-{size}-deduped",
        sizes=("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"),
        seeds=(0,),
        steps=_PYTHIA_STEPS,
    ),
    Preset(
        name="polypythia",
        about="PolyPythias, nine more seeds of Pythia (van der Wal et al. 2025)",
        repository="EleutherAI/pythia-{size}-seed{seed}",
        sizes=("14m", "31m", "70m", "160m", "410m"),
        seeds=tuple(range(1, 10)),
        steps=_PYTHIA_STEPS,
    ),
)
PRESETS = {preset.name: preset for preset in _PRESETS}
