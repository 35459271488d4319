"""What the models read: documents, tokens, words, tags, counts; frozen once per run."""

from phasescope.texts.docs import docs_texts
from phasescope.texts.document import Document, Word
from phasescope.texts.documents import read_documents
from phasescope.texts.freezing import freeze
from phasescope.texts.inputs import Framing, Inputs
from phasescope.texts.tokens import Encoded, Encoder, align, split_words

__all__ = [
    "Document",
    "Encoded",
    "Encoder",
    "Framing",
    "Inputs",
    "Word",
    "align",
    "docs_texts",
    "freeze",
    "read_documents",
    "split_words",
]
