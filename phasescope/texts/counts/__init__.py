"""How often words, tokens and n-grams occur in a reference corpus: lists, indices, and services that count."""
