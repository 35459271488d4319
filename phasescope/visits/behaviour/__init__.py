"""Behaviour that needs a pass of its own: items made once per run, and scored by every checkpoint."""
