"""Metrics of the confusion matrices that the MEXBreast paper prints (Mathematics 2025, 13, 2422).

The paper gives its counts in the text and its metrics, to four digits, in Tables 9 and 11. Where
the two do not agree, the disagreement is the paper's, and it is asserted here as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from mammoshift.configuration.load import read_yaml
from mammoshift.configuration.published import PublishedStudy
from mammoshift.statistics.confusion import ConfusionMatrix, confusion_metrics

METRICS = ("accuracy", "precision", "sensitivity", "specificity", "f1")
CELLS = ("tn", "fp", "fn", "tp")
NUMBERS = (
    TypeAdapter(PublishedStudy)
    .validate_python(
        read_yaml(Path(__file__).parents[3] / "config/studies/published/microcalcification.yaml")
    )
    .numbers
)


@dataclass(frozen=True)
class Published:
    """The matrix, the printed metrics, and what our metrics give where the two disagree."""

    matrix: ConfusionMatrix
    printed: tuple[float, ...]
    disagreeing: dict[str, float]


def printed(arm: str, metric: str) -> float | None:
    """The value of an arm's test patches in the text, Table 9 or Table 11."""
    found = [
        number.value
        for number in NUMBERS
        if (number.arm, number.metric, number.subset) == (arm, metric, "test")
        and not number.page.endswith("8")
    ]
    assert len(found) <= 1
    return found[0] if found else None


def published(arm: str, disagreeing: dict[str, float], size: int = 0, fn: int = 0) -> Published:
    """What is printed of an arm; `size` and `fn` are known where not all cells are printed."""
    tn, fp, printed_fn, tp = (printed(arm, cell) for cell in CELLS)
    assert fp is not None
    missed = int(fn if printed_fn is None else printed_fn)
    matrix = ConfusionMatrix(
        int(size - fp if tn is None else tn),
        int(fp),
        missed,
        int(size - missed if tp is None else tp),
    )
    metrics = [printed(arm, metric) for metric in METRICS]
    return Published(matrix, tuple(value for value in metrics if value is not None), disagreeing)


PUBLISHED = {
    # FP 97 and FN 140 are printed; the class size 3015 is that of Table 4.
    "scratch_50": published("scratch_50", {}, size=3015),
    "transfer_50": published("transfer_50", {"accuracy": 0.9833}),
    # FP 3 is printed; the 5311 positives of Table 4 and the recall leave 75 false negatives.
    "transfer_70": published("transfer_70", {}, size=5311, fn=75),
    "scratch_100": published("scratch_100", {}),
    "transfer_100": published("transfer_100", {"accuracy": 0.8926}),
    "eval_70": published("eval_70", {"precision": 0.9923}),
}


def test_27_of_30_metrics_agree_with_the_matrices_of_the_paper() -> None:
    assert sum(len(found.printed) for found in PUBLISHED.values()) == 30
    assert sum(len(found.disagreeing) for found in PUBLISHED.values()) == 3


@pytest.mark.parametrize("model", PUBLISHED)
def test_our_metrics_give_the_printed_digits_or_the_paper_contradicts_itself(model: str) -> None:
    paper = PUBLISHED[model]
    found = confusion_metrics(paper.matrix)
    for name, value in zip(METRICS, paper.printed, strict=True):
        ours = round(getattr(found, name).value, 4)
        if name in paper.disagreeing:
            assert ours == paper.disagreeing[name] != value
        else:
            assert ours == value


def matrices_that_give(
    printed: tuple[float, float, float, float, float], size: int, recall: float
) -> list[ConfusionMatrix]:
    """Every matrix of two classes of `size` cases that rounds to the printed metrics."""
    wanted = (printed[0], printed[1], recall, printed[3], printed[4])
    found = []
    for fn in range(size + 1):
        if round(1 - fn / size, 4) != recall:
            continue
        for fp in range(size + 1):
            if round(1 - fp / size, 4) != printed[3]:
                continue
            matrix = ConfusionMatrix(size - fp, fp, fn, size - fn)
            metrics = confusion_metrics(matrix)
            if all(
                round(getattr(metrics, name).value, 4) == value
                for name, value in zip(METRICS, wanted, strict=True)
            ):
                found.append(matrix)
    return found


def test_scratch_70_has_one_matrix_and_the_recall_in_its_text_has_none() -> None:
    printed = (0.9920, 0.9992, 0.9847, 0.9992, 0.9919)
    assert matrices_that_give(printed, 5311, recall=0.9847) == [ConfusionMatrix(5307, 4, 81, 5230)]
    # The text says 98.62 % where Table 9 says 0.9847.
    assert matrices_that_give(printed, 5311, recall=0.9862) == []


def test_class_sizes_that_contradict_table_4() -> None:
    transfer_50, eval_70 = PUBLISHED["transfer_50"].matrix, PUBLISHED["eval_70"].matrix
    # Table 4 has 3015 test patches of each class at 50 um and 5311 at 70 um.
    assert (transfer_50.tn + transfer_50.fp, transfer_50.fn + transfer_50.tp) == (3017, 3017)
    assert (eval_70.tn + eval_70.fp, eval_70.fn + eval_70.tp) == (5321, 5301)
    # At 100 um it has 435, but the matrices hold 2175 of each: all original patches, or a fifth
    # of the 10,875 augmented ones (Table 5).
    for model in ("scratch_100", "transfer_100"):
        matrix = PUBLISHED[model].matrix
        assert (matrix.tn + matrix.fp, matrix.fn + matrix.tp) == (2175, 2175)


def test_transfer_50_accuracy_is_wrong_for_either_class_size() -> None:
    for size in (3015, 3017):
        matrix = ConfusionMatrix(size - 51, 51, 50, size - 50)
        assert round(confusion_metrics(matrix).accuracy.value or 0.0, 4) == 0.9833
