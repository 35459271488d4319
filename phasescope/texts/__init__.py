"""What the models read: documents, tokens, words, tags, counts; frozen once per run."""

from phasescope.texts.counts.frequencies import frequency_bins, log_frequency
from phasescope.texts.counts.ngram_index import NgramIndex, build_index, is_index
from phasescope.texts.counts.ngram_web import NgramService, parse_service
from phasescope.texts.counts.ngrams import Counts, ngram_log_probabilities
from phasescope.texts.counts.word_counts import WordCounts
from phasescope.texts.document import Document, Word
from phasescope.texts.freezing import freeze
from phasescope.texts.inputs import BytePlaces, Framing, Inputs
from phasescope.texts.items.encoder import ItemEncoder
from phasescope.texts.items.items import Items, Scores, join
from phasescope.texts.items.minimal_pairs import pair_items
from phasescope.texts.items.tasks import named_task, read_task, task_items
from phasescope.texts.readers.docs import docs_texts
from phasescope.texts.readers.documents import read_documents
from phasescope.texts.similarity import Vectors, contextual_similarity
from phasescope.texts.tags import previous_tags, tags_read, word_class
from phasescope.texts.token_bytes import NO_TEXT, byte_starts, first_bytes, token_bytes
from phasescope.texts.tokens import Encoded, Encoder, align, split_words
from phasescope.texts.words import WordsRead, words_read

__all__ = [
    "NO_TEXT",
    "BytePlaces",
    "Counts",
    "Document",
    "Encoded",
    "Encoder",
    "Framing",
    "Inputs",
    "ItemEncoder",
    "Items",
    "NgramIndex",
    "NgramService",
    "Scores",
    "Vectors",
    "Word",
    "WordCounts",
    "WordsRead",
    "align",
    "build_index",
    "byte_starts",
    "contextual_similarity",
    "docs_texts",
    "first_bytes",
    "freeze",
    "frequency_bins",
    "is_index",
    "join",
    "log_frequency",
    "named_task",
    "ngram_log_probabilities",
    "pair_items",
    "parse_service",
    "previous_tags",
    "read_documents",
    "read_task",
    "split_words",
    "tags_read",
    "task_items",
    "token_bytes",
    "word_class",
    "words_read",
]
