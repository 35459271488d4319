"""Whether an entry says what a model does: the checks that every known architecture goes through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.hooks.engine import ENGINES, TappedModel, get_engine
from phasescope.hooks.output import check_unembedding
from phasescope.hooks.registered import architectures, described, on_trial
from phasescope.hooks.sites import Site

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from phasescope.hooks.architecture import Architecture


@dataclass(frozen=True)
class Check:
    """What was checked, and whether it holds; why: what was found instead."""

    what: str
    holds: bool
    why: str = ""


@dataclass(frozen=True)
class Probed:
    """An architecture that was looked into: the entry, whether it is known already, and what was checked of it."""

    entry: Architecture
    known: bool
    checks: list[Check]

    @property
    def code(self) -> str:
        """The entry as Python, to be put into a file of one's own."""
        return written(self.entry)

    def as_record(self) -> dict[str, Any]:
        """In plain values."""
        told = [{"check": check.what, "holds": check.holds, "why": check.why} for check in self.checks]
        return {**described(self.entry), "known": self.known, "checks": told, "code": self.code}


def probed(named: str) -> Probed:
    """Make a tiny model of a family, and check its entry: the known one, or the best of those that can be proposed.

    named: a model type, or a folder with config.json. Raises PhasescopeError where none can be made or proposed.
    """
    import torch

    from phasescope.hooks.lookup import get_architecture
    from phasescope.hooks.proposing import experts_in, propose
    from phasescope.hooks.tiny import VOCABULARY, tiny_model

    model = tiny_model(named)
    tokens = torch.randint(1, VOCABULARY, (2, 11), generator=torch.Generator().manual_seed(1))
    if any(entry.holds_for(model.config) for entry in architectures()):
        entry = get_architecture(model.config)
        return Probed(entry, True, checks(entry, model, tokens))
    tried = [(entry, checks(entry, model, tokens)) for entry in propose(model, tokens)]
    # Engines of others may not read what is right.
    entry, found = min(tried, key=lambda each: sum(not check.holds for check in each[1] if "engine" not in check.what))
    if any(not check.holds for check in found if check.what in _PARTS.values()):
        entry = trimmed(entry, found)
        found = checks(entry, model, tokens)
    if told := experts_in(model):
        found.append(Check("experts", False, told))
    return Probed(entry, False, found)


def written(entry: Architecture) -> str:
    """An entry as Python."""
    used = {"Architecture", *(type(tap).__name__ for tap in entry.taps.values())}
    used |= {type(place).__name__ for place in entry.matrices.values() if not isinstance(place, str)}
    if entry.attention:
        used |= {"Attention", type(entry.attention.projections).__name__}
    lines = ["import phasescope as ps", f"from phasescope.hooks import {', '.join(sorted(used))}"]
    own = entry.positions.__name__
    if own != "rotary":
        lines.append(f"from phasescope.hooks.attending import {own}")
    lines += ["", "ps.register(", "    Architecture(", f"        model_type={entry.model_type!r},"]
    lines += [f"        layers={entry.layers!r},", "        taps={"]
    for name, tap in entry.taps.items():
        more = f", item={tap.item}" if tap.item else ""
        lines.append(f"            {name!r}: {type(tap).__name__}({tap.module!r}, {tap.side!r}{more}),")
    lines.append("        },")
    if entry.matrices:
        lines.append(f"        matrices={dict(entry.matrices)!r},")
    if entry.attention:
        lines.append(f"        attention=Attention({entry.attention.projections!r}, {entry.attention.output!r}),")
    if own != "rotary":
        lines.append(f"        positions={own},")
    if entry.masked:
        lines.append("        masked=True,")
    return "\n".join([*lines, "    )", ")"])


def checks(entry: Architecture, model: PreTrainedModel, tokens: Tensor) -> list[Check]:
    """Every check of an entry on a model in float64: its parts, the sums, the heads, the logits, the engines."""
    with on_trial(entry):
        try:
            tapped = get_engine("torch").open(model)
            read = _everything(tapped, tokens)
        except Exception as error:
            return [Check("every site is read", False, f"{type(error).__name__}: {error}")]
        found = [
            Check("every site is read", True),
            *_sums(read),
            *_heads(tapped, read, tokens),
            *_neurons(tapped, read),
        ]
        try:
            check_unembedding(tapped, tokens[0])
            found.append(Check("logits are made of the final hidden states as the model makes them", True))
        except PhasescopeError as error:
            found.append(Check("logits are made of the final hidden states as the model makes them", False, str(error)))
        return [*found, *(_engine(name, model, tokens, read) for name in ENGINES if name != "torch")]


def trimmed(entry: Architecture, found: list[Check]) -> Architecture:
    """The entry without what a check shows to be wrong."""
    wrong = {check.what for check in found if not check.holds}
    lost = {name for name, part in _PARTS.items() if part in wrong}
    taps = {name: tap for name, tap in entry.taps.items() if name not in lost}
    kept = {name: path for name, path in entry.matrices.items() if _PARTS["mlp_post"] not in wrong}
    return replace(entry, taps=taps, matrices=kept, attention=None if "z" in lost else entry.attention)


_HEADS = "heads write what they attend to: pattern · ov_out = z · W_O"
_NEURONS = "neurons write through the output matrix: mlp_post · W_out = mlp_out"
_PARTS = {"ov_out": _HEADS, "z": _HEADS, "pattern": _HEADS, "mlp_post": _NEURONS}


def _everything(tapped: TappedModel, tokens: Tensor) -> dict[str, Tensor]:
    import torch

    positions = torch.arange(tokens.shape[1]).expand(len(tokens), -1)
    sites = [Site(tapped.n_layers - 1, name) for name in tapped.architecture.components]
    return {site.component: value for site, value in tapped.read(tokens, positions, sites).activations.items()}


def _near(found: Tensor, wanted: Tensor, what: str, most: float = 1e-5) -> Check:
    off = float((found - wanted).abs().max() / wanted.abs().max())
    return Check(what, off <= most, "" if off <= most else f"off by {off:.2g} of the largest value")


def _sums(read: dict[str, Tensor]) -> list[Check]:
    parts = [read[name] for name in ("attn_out", "mixer_out", "mlp_out") if name in read]
    if not {"resid_pre", "resid_post"} <= read.keys() or not parts:
        return []
    made = [_near(read["resid_pre"] + sum(parts), read["resid_post"], "what is added adds up to resid_post")]
    if "resid_mid" in read:
        made.append(_near(read["resid_pre"] + parts[0], read["resid_mid"], "resid_pre + attn_out = resid_mid"))
    return made


def _heads(tapped: TappedModel, read: dict[str, Tensor], tokens: Tensor) -> list[Check]:
    import torch

    if not {"pattern", "ov_out", "z"} <= read.keys():
        return []
    ov_out, pattern = (read[part].reshape(*tokens.shape, *read[part].shape[1:]) for part in ("ov_out", "pattern"))
    W_O = tapped.weights()[f"blocks.{tapped.n_layers - 1}.attn.W_O"]
    mixed = torch.einsum("bqhk,bkhd->bqhd", pattern, ov_out).flatten(0, 1)
    return [_near(mixed, torch.einsum("shd,hdm->shm", read["z"], W_O), _HEADS)]


def _neurons(tapped: TappedModel, read: dict[str, Tensor]) -> list[Check]:
    name = f"blocks.{tapped.n_layers - 1}.mlp.W_out"
    entry = tapped.architecture
    if "mlp_post" not in read or name not in tapped.weights():
        return []
    place = entry.matrices["mlp.W_out"]
    assert isinstance(place, str)
    module = entry.modules(tapped.model)[-1].get_submodule(place)
    bias = getattr(module, "bias", None)
    written = read["mlp_post"] @ tapped.weights()[name] + (0 if bias is None else bias.detach())
    return [_near(written, read["mlp_out"], _NEURONS)]


def _engine(name: str, model: PreTrainedModel, tokens: Tensor, wanted: dict[str, Tensor]) -> Check:
    import torch

    what = f"the engine {name} reads the same"
    try:
        tapped = get_engine(name).open(model)
        there = [part for part in wanted if part in tapped.components()]
        positions = torch.arange(tokens.shape[1]).expand(len(tokens), -1)
        read = tapped.read(tokens, positions, [Site(tapped.n_layers - 1, part) for part in there]).activations
        off = max(
            float((value - wanted[site.component]).abs().max() / wanted[site.component].abs().max())
            for site, value in read.items()
        )
        lacking = [part for part in wanted if part not in there]
        return Check(what, off <= 1e-5, f"without {', '.join(lacking)}" if lacking else "")
    except Exception as error:
        return Check(what, False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
