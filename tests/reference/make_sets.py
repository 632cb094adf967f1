"""Write `roc_sets.csv`: small generated tables of labels and three scores each.

Run as `python tests/reference/make_sets.py`, then rebuild the values with
`Rscript tests/reference/proc_values.R`. The sets cover what breaks implementations: ties, constant
scores, perfect separation, one case of a class, huge and tiny numbers, identical curves.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
HERE = Path(__file__).parent


def binormal(
    rng: np.random.Generator, n_pos: int, n_neg: int, shift: float, correlation: float
) -> tuple[NDArray[np.int64], Scores]:
    """Return labels [N] and three correlated normal scores [3, N], positives shifted."""
    labels = rng.permutation(np.repeat([1, 0], [n_pos, n_neg]))
    common = rng.normal(size=labels.size)
    own = rng.normal(size=(3, labels.size))
    scores = np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own
    return labels, np.round(scores + shift * labels * np.array([[1.0], [0.8], [1.2]]), 4)


def sets(rng: np.random.Generator) -> dict[str, tuple[NDArray[np.int64], Scores]]:
    """Return the sets by name."""
    made = {
        f"binormal_{n_pos}_{n_neg}_{shift:g}": binormal(rng, n_pos, n_neg, shift, correlation)
        for n_pos, n_neg, shift, correlation in (
            (40, 100, 1.6, 0.5),
            (20, 120, 1.6, 0.3),
            (10, 130, 1.6, 0.8),
            (8, 40, 2.3, 0.5),
            (57, 265, 0.54, 0.6),
            (100, 100, 0.0, 0.0),
            (30, 30, -1.0, 0.5),
            (3, 200, 1.0, 0.5),
            (200, 3, 1.0, 0.5),
            (2, 2, 0.5, 0.2),
            (60, 60, 1.0, 0.99),
            (25, 75, 3.5, 0.4),
        )
    }
    for name, digits in (("ties_tenths", 1), ("ties_integers", 0), ("ties_tens", -1)):
        labels, scores = binormal(rng, 45, 70, 1.2, 0.5)
        factor = 10.0 if digits < 0 else 1.0
        made[name] = labels, np.round(scores * factor, digits)
    labels, scores = binormal(rng, 30, 50, 1.0, 0.5)
    made["binary_scores"] = labels, (scores > 0.5).astype(float)
    made["one_constant"] = labels, np.stack([scores[0], np.full(80, 0.25), scores[2]])
    made["all_constant"] = labels, np.zeros((3, 80))
    made["one_perfect"] = labels, np.stack([scores[0], labels + 0.0, scores[2]])
    made["all_perfect"] = labels, np.stack([labels * k + scores[0] * 0.001 for k in (1.0, 2, 3)])
    made["perfectly_wrong"] = labels, np.stack([-1.0 * labels, scores[1], 1.0 - labels])
    made["identical"] = labels, np.stack([scores[0], scores[0], scores[1]])
    made["monotone_transforms"] = labels, np.stack([scores[0], np.exp(scores[0]), scores[0] ** 3])
    made["opposite"] = labels, np.stack([scores[0], -scores[0], scores[1]])
    for name, scale in (("huge_logits", 1e300), ("saturated_logits", 800.0), ("tiny", 1e-300)):
        labels, scores = binormal(rng, 35, 45, 1.0, 0.5)
        made[name] = labels, scores / 8.0 * scale
    labels, scores = binormal(rng, 35, 45, 1.0, 0.5)
    made["near_one"] = labels, 1.0 + np.round(scores * 1e3) * 2.0**-50
    signed = np.round(scores)
    made["signed_zeros"] = labels, np.where(signed == 0.0, np.where(labels == 1, 0.0, -0.0), signed)
    for name, n_pos, n_neg in (
        ("one_positive", 1, 30),
        ("one_negative", 30, 1),
        ("one_each", 1, 1),
    ):
        made[name] = binormal(rng, n_pos, n_neg, 1.0, 0.5)
    return made


def main() -> None:
    """Write the sets."""
    with (HERE / "roc_sets.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["set", "label", "score_1", "score_2", "score_3"])
        for name, (labels, scores) in sets(np.random.default_rng(20261121)).items():
            for label, row in zip(labels, scores.T, strict=True):
                writer.writerow([name, int(label), *(repr(float(score)) for score in row)])


if __name__ == "__main__":
    main()
