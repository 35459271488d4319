"""Text that nobody wrote: corrupted, and random tokens that are read twice."""
