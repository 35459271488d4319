"""One layer: its figure, and its view in the terminal."""
