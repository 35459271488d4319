"""How many questions with options are answered rightly, and how surprising are the options?

As lm-evaluation-harness scores them: the option with the highest log-probability after the question is the answer
(accuracy), or that with the highest log-probability per character (normalised accuracy). Option perplexity after study
D (Xia et al. 2023, arXiv 2212.09803): of all tokens of the right options, and of the wrong ones. Intervals by a
bootstrap over questions. See docs/analyses/multiple_choice.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table
from phasescope.analyses.registry import questions

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.texts import Items, Scores

KIND = "multiple_choice"
TABLE = {
    "size": "str", "seed": "int64", "step": "int64", "task": "str", "shots": "Int64", "accuracy": "float64",
    "low": "float64", "high": "float64", "accuracy_norm": "float64", "norm_low": "float64", "norm_high": "float64",
    "perplexity": "float64", "perplexity_low": "float64", "perplexity_high": "float64", "perplexity_wrong": "float64",
    "wrong_low": "float64", "wrong_high": "float64", "chance": "float64", "questions": "int64", "level": "float64",
}  # fmt: skip


@question(
    "How many questions with options are answered rightly, and how surprising are the options?",
    [
        Table(
            "multiple_choice",
            "Accuracy and option perplexity per task, size, seed and step, with intervals.",
            TABLE,
            {
                "share of questions": "accuracy low high accuracy_norm norm_low norm_high chance",
                "perplexity": "perplexity perplexity_low perplexity_high perplexity_wrong wrong_low wrong_high",
            },
        ),
    ],
    reads=["behaviour/multiple_choice"],
    needs="`--behaviour multiple_choice=TASK`",
    place=110,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `multiple_choice`: one row per size, seed, step and task; empty where no task was given."""
    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    for items in reader.item_sets(KIND):
        questions = Questions.of(items)
        shots = int(items.columns["shots"][0])
        for key, scores in reader.scores(items):
            numbers = _numbers(questions, items, scores, options)
            about = (key.size, key.seed, key.step, items.name, None if shots < 0 else shots)
            rows.append((*about, *numbers, questions.chance, questions.number, options.level))
    table = as_table(rows, TABLE)
    if not rows:
        table.attrs["absent"] = (
            "No questions were asked. Ask some: phasescope visit RUN --behaviour multiple_choice=TASK.json"
        )
    return {"multiple_choice": table}


@dataclass(frozen=True, eq=False)
class Questions:
    """Which items are the options of which question."""

    question: Int64[np.ndarray, "items"]
    option: Int64[np.ndarray, "items"]
    right: Bool[np.ndarray, "items"]
    characters: Int64[np.ndarray, "items"]

    @classmethod
    def of(cls, items: Items) -> Questions:
        columns = {name: np.asarray(items.columns[name]) for name in ("question", "option", "right", "characters")}
        return cls(**{**columns, "right": columns["right"].astype(bool)})

    @property
    def number(self) -> int:
        return int(self.question.max()) + 1

    @property
    def chance(self) -> float:
        """The accuracy of choosing at random."""
        return float((self.per_question(self.right) / self.per_question(np.ones(len(self.right)))).mean())

    def answered(self, scores: Float64[np.ndarray, "items"]) -> Float64[np.ndarray, "questions"]:
        """1 where the highest score is that of a right option; of equal ones the first counts, as in the harness."""
        shape = (self.number, int(self.option.max()) + 1)
        table, right = np.full(shape, -np.inf), np.zeros(shape)
        table[self.question, self.option], right[self.question, self.option] = scores, self.right
        best: Float64[np.ndarray, "questions"] = right[np.arange(self.number), table.argmax(1)]
        return best

    def per_question(self, values: Any) -> Float64[np.ndarray, "questions"]:
        """The sum over a question's options."""
        return np.bincount(self.question, weights=np.asarray(values, dtype=np.float64), minlength=self.number)


def _numbers(questions: Questions, items: Items, scores: Scores, options: Options) -> list[float]:
    """Accuracy, normalised accuracy, perplexity of right and of wrong options, each with its interval."""
    sums = items.sums(scores.log_prob)
    ones = np.ones(questions.number)
    parts = [(questions.answered(sums), ones), (questions.answered(sums / questions.characters), ones)]
    parts += [
        (questions.per_question(-sums * chosen), questions.per_question(items.scored * chosen))
        for chosen in (questions.right, ~questions.right)
    ]
    found = [_ratio(numerator, denominator, options) for numerator, denominator in parts]
    with np.errstate(over="ignore"):
        return [*np.clip(found[0], 0, 1), *np.clip(found[1], 0, 1), *np.exp(found[2]), *np.exp(found[3])]


def _ratio(
    numerator: Float64[np.ndarray, "questions"], denominator: Float64[np.ndarray, "questions"], options: Options
) -> tuple[float, float, float]:
    """The sum over the sum, and its interval over questions; of one question without. NaN where there is nothing."""
    from phasescope.measures import bootstrap_weights, interval

    total = denominator.sum()
    value = float(numerator.sum() / total) if total else np.nan
    if len(numerator) < 2 or not total:
        return value, np.nan, np.nan
    weights = bootstrap_weights(len(numerator), options.resamples, options.seed).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = interval((weights @ numerator) / (weights @ denominator), np.array(value), options.level)
    return value, float(low), float(high)
