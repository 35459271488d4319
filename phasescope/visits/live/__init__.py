"""One site and a text, live: of checkpoints that are loaded for it, or of a run that is still being captured."""
