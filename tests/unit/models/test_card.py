from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammoshift.errors import WeightsError
from mammoshift.models.card import (
    CARD_NAME,
    Measured,
    ModelCard,
    OperatingPoint,
    Reading,
    read_card,
    write_card,
)

CARD = ModelCard.model_validate(
    {
        "study": "small",
        "arm": "plain",
        "seed": 0,
        "fold": 0,
        "kind": "network",
        "weights_sha256": "0" * 64,
        "task": "malignant_vs_rest",
        "classes": ("rest", "malignant"),
        "training_cases": 4,
        "training_positives": 2,
        "training_data": [{"name": "film", "title": "Films", "licence": "free"}],
        "lineage": {"steps": [{"domain": "film"}]},
        "readings": [
            Reading(
                unit="image",
                combine="mean",
                domain="film",
                subset="validation",
                fold=0,
                n=9,
                n_pos=4,
                temperature=1.5,
                operating_points=(
                    OperatingPoint(name="youden", threshold=0.5, sensitivity=0.75, specificity=0.8),
                ),
            )
        ],
        "measured": [
            Measured(
                domain="film",
                subset="test",
                unit="image",
                metric="auc",
                value=None,
                n=3,
                n_pos=0,
                note="one class",
            )
        ],
        "versions": {"mammoshift": "0.1.0"},
    }
)


def test_a_card_is_read_as_it_was_written_and_absent_where_there_is_none(tmp_path: Path) -> None:
    assert read_card(tmp_path) is None
    write_card(CARD, tmp_path / CARD_NAME)
    assert read_card(tmp_path) == CARD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, and this version of mammoshift reads format 1; update"),
        ({"format": 1, "weight": 3}, "is no model card: weight: Extra inputs"),
        ({"readings": [{"unit": "image"}]}, r"readings\.0\.combine: Field required"),
        ({"readings": [{"temperature": float("nan")}]}, r"readings\.0"),
    ],
)
def test_a_card_that_is_none_is_refused_in_a_sentence(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    write_card(CARD, tmp_path / CARD_NAME)
    content = json.loads((tmp_path / CARD_NAME).read_text()) | change
    (tmp_path / CARD_NAME).write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=message) as raised:
        read_card(tmp_path)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b"3"])
def test_bytes_that_are_no_json_object_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CARD_NAME).write_bytes(content)
    with pytest.raises(WeightsError, match=r"model_card\.json: is no"):
        read_card(tmp_path)
