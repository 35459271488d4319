"""Results that were measured elsewhere, or by the lm-evaluation-harness, brought to the checkpoints they are of."""
