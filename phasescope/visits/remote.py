"""Opening a checkpoint that stays on a server: its configuration and tokenizer are fetched, its weights are not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from phasescope.hooks.nnsight_remote import RemoteModel
    from phasescope.probes import Probes
    from phasescope.suites import Checkpoint, Suite


def require_remote(suite: Suite) -> None:
    """Raise `PhasescopeError` now for a suite that NDIF cannot be asked for, or without a key for it."""
    from phasescope.hooks.ndif import KEY

    for checkpoint in suite:
        if checkpoint.is_local or checkpoint.file is not None:
            what = "a folder on this machine" if checkpoint.is_local else "no model of transformers"
            raise PhasescopeError(
                f"{checkpoint.place} is {what}, and NDIF reads repositories on the hub: capture it without --remote."
            )
    if not os.environ.get(KEY):
        raise PhasescopeError(f"NDIF asks for a key: get one at https://login.ndif.us and set {KEY} to it.")


def open_remote(checkpoint: Checkpoint, probes: Probes) -> RemoteModel:
    """The model of a checkpoint, to be read on NDIF. Raises `BadCheckpointError` if it is not on the hub."""
    from nnsight.schema.config import CONFIG

    from phasescope.hooks import ATTENDING, select_sites
    from phasescope.hooks.ndif import KEY
    from phasescope.hooks.nnsight_remote import RemoteModel
    from phasescope.suites.hub_answers import explained
    from phasescope.suites.load import load_config
    from phasescope.suites.reading import quiet_transformers
    from phasescope.suites.tokenizer import load_tokenizer

    # nnsight reads the environment when it is imported, which may have been before.
    CONFIG.API.APIKEY = os.environ.get(KEY) or CONFIG.API.APIKEY
    CONFIG.API.HOST = os.environ.get("NDIF_HOST") or CONFIG.API.HOST
    CONFIG.APP.REMOTE_LOGGING = False
    config, tokenizer = load_config(checkpoint), load_tokenizer(checkpoint)
    sites = select_sites(probes.sites, config.num_hidden_layers) if probes.sites else []
    # The name that the request gives to the model is the hub's own.
    with explained(checkpoint.location, checkpoint), quiet_transformers():
        return RemoteModel(
            checkpoint.location,
            checkpoint.revision,
            config,
            tokenizer,
            modules=probes.modules,
            patterns=any(site.component in ATTENDING for site in sites),
        )
