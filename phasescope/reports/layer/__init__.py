"""One layer, its view in the terminal, and what is shown beside it."""
