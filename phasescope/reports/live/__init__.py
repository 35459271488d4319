"""What a live probe reads, and what a training probe saw."""
