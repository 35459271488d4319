"""Questions: each reads a run and returns tidy tables. A file, or a folder, for each."""

from phasescope.analyses.brought import analysis
from phasescope.analyses.options import Options
from phasescope.analyses.question import Curve, Option, Question, Table, question
from phasescope.analyses.reader import RunReader
from phasescope.analyses.registry import home_of, question_named, questions, register, tables_there_are
from phasescope.analyses.results import (
    analyse,
    as_made_now,
    is_asked,
    kept_table,
    stands_on,
    table,
    table_if_asked,
)

__all__ = [
    "Curve",
    "Option",
    "Options",
    "Question",
    "RunReader",
    "Table",
    "analyse",
    "analysis",
    "as_made_now",
    "home_of",
    "is_asked",
    "kept_table",
    "question",
    "question_named",
    "questions",
    "register",
    "stands_on",
    "table",
    "table_if_asked",
    "tables_there_are",
]
