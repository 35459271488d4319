"""What items of behaviour are made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.suites.positions import most_positions
from phasescope.visits.inputs import read_configs, shared_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from phasescope.probes import Probes
    from phasescope.suites import Suite
    from phasescope.texts import Inputs, ItemEncoder, Items


@dataclass(frozen=True)
class Making:
    """What items are made with: the models that will read them, the inputs of the run, and the sets that it has."""

    suite: Suite
    inputs: Inputs
    probes: Probes
    frozen: Mapping[tuple[str, str], Items] = field(default_factory=dict)

    @cached_property
    def encoder(self) -> ItemEncoder:
        """The tokenizer of the models. Raises `PhasescopeError` where it is not the one that made the inputs."""
        from phasescope.texts import ItemEncoder

        trust = self.probes.trust_remote_code
        encoder = ItemEncoder(shared_tokenizer(self.suite, trust), self.inputs.framing)
        # The inputs do without entries that no model has a row for.
        if min(encoder.vocabulary, self._rows) != self.inputs.vocabulary:
            raise PhasescopeError(
                f"The tokenizer of {self.suite.source} has {encoder.vocabulary} entries, and that which made the "
                f"inputs of this run had {self.inputs.vocabulary}: they are not the same models."
            )
        return encoder

    @cached_property
    def longest(self) -> int:
        """Tokens that an item may have: all that the models can read at once, and a last one that is only predicted."""
        read = min(map(most_positions, self._configs))
        return read + int(self.inputs.framing is None)

    def has(self, component: str) -> bool:
        """Whether models of every size have a component: `pattern`, where attention hands out its pattern."""
        from phasescope.hooks import get_architecture

        return all(component in get_architecture(one, self.probes.modules).components for one in self._configs)

    @cached_property
    def _configs(self) -> list[PreTrainedConfig]:
        return list(read_configs(self.suite, self.probes.trust_remote_code).values())

    @property
    def _rows(self) -> int:
        return min(int(config.vocab_size) for config in self._configs)
