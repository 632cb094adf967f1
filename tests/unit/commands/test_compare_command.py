"""The command `compare` and the comparison of arms behind it."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from scipy.stats import false_discovery_control
from typer.testing import CliRunner

from mammoshift.commands.compare import compare
from mammoshift.commands.compare_report import Wishes
from mammoshift.commands.compare_rows import compare_predictions
from mammoshift.commands.compare_text import print_everything, print_headline
from mammoshift.contracts.external_predictions import read_external_predictions
from mammoshift.errors import MammoshiftError, StatisticsError, TableError
from mammoshift.statistics.arm_comparison import compare_arms
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import paired
from mammoshift.statistics.intervals import auc_intervals
from mammoshift.statistics.seeds import exact_fixed

REFERENCE = Path(__file__).parents[2] / "reference"
CURVE_KEYS = {
    "dataset",
    "arm",
    "seed",
    "auc",
    "se",
    "ci_low",
    "ci_high",
    "n_pos",
    "n_neg",
    "n_clusters",
}
PAIR_KEYS = {"dataset", "arm_a", "arm_b", "seed", "difference", "se", "z", "p", "p_adjusted"}
COMBINED_KEYS = {
    "dataset",
    "arm_a",
    "arm_b",
    "method",
    "estimate",
    "se",
    "statistic",
    "df",
    "p",
    "p_adjusted",
}
METHODS = [
    "obuchowski_rockette_nested",
    "obuchowski_rockette_crossed",
    "exact_fixed",
    "strube",
    "ensemble",
    "stouffer_naive",
]


def _frame(arms, datasets=(None,), n=80, patients=False, seed=0):
    """Return a long table; `arms` maps an arm to its seeds."""
    rng = np.random.default_rng(seed)
    parts = []
    for dataset in datasets:
        labels = rng.integers(0, 2, n)
        common = rng.normal(size=n) + labels
        for shift, (arm, seeds) in enumerate(arms.items()):
            for s in seeds:
                score = common + 0.2 * shift * labels + 0.5 * rng.normal(size=n)
                part = {"case_id": range(n), "label": labels, "arm": arm, "score": score}
                if s is not None:
                    part["seed"] = s
                if dataset is not None:
                    part["dataset"] = dataset
                if patients:
                    part["patient_id"] = [f"p{i // 2}" for i in range(n)]
                parts.append(pd.DataFrame(part))
    return pd.concat(parts)


def _run(tmp_path, frame, *options):
    app = typer.Typer()
    app.command()(compare)
    table, out = tmp_path / "table.csv", tmp_path / "out.json"
    frame.to_csv(table, index=False)
    result = CliRunner().invoke(
        app, [str(table), "--json", str(out), *options], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return json.loads(out.read_text()), result.output


def test_two_arms_without_seeds(tmp_path):
    frame = _frame({"a": [None], "b": [None]})
    found, printed = _run(tmp_path, frame)
    labels = frame["label"].to_numpy()[:80]
    scores = frame["score"].to_numpy().reshape(2, 80)
    estimate = auc_covariance(labels, scores)
    interval = auc_intervals(estimate, method="auto")
    assert found["curves"][0].keys() >= CURVE_KEYS
    for k, row in enumerate(found["curves"]):
        assert row["auc"] == pytest.approx(estimate.auc[k], abs=1e-12)
        assert row["se"] == pytest.approx(estimate.se[k], abs=1e-12)
        assert row["ci_low"] == pytest.approx(interval.low[k])
        assert (row["seed"], row["dataset"]) == (None, None)
    (pair,) = found["pairs"]
    assert pair.keys() >= PAIR_KEYS
    expected = paired(estimate.auc, estimate.covariance, 0, 1)
    assert (pair["arm_a"], pair["arm_b"]) == ("a", "b")
    assert pair["difference"] == pytest.approx(expected.estimate)
    assert pair["z"] == pytest.approx(expected.statistic)
    assert pair["p"] == pair["p_adjusted"] == pytest.approx(expected.p)
    assert found["combined"] == []
    assert "AUC" in printed
    assert "every case counts as independent" in printed


def test_seeds_give_every_combined_method(tmp_path):
    found, _ = _run(tmp_path, _frame({"a": [0, 1, 2], "b": [0, 1, 2]}, patients=True))
    assert [row["method"] for row in found["combined"]] == METHODS
    assert all(row.keys() >= COMBINED_KEYS for row in found["combined"])
    assert all(row["p"] is not None for row in found["combined"])
    assert {row["seed"] for row in found["pairs"]} == {0, 1, 2}
    assert found["curves"][0]["n_clusters"] == 40
    assert found["settings"]["cluster"] == "patient_id"
    nested = found["combined"][0]
    assert nested["df"] > 3
    assert found["combined"][2]["df"] is None


def test_reference_is_the_second_of_every_pair(tmp_path):
    frame = _frame({"a": [None], "b": [None], "c": [None]})
    found, _ = _run(tmp_path, frame, "--reference", "b")
    assert [(row["arm_a"], row["arm_b"]) for row in found["pairs"]] == [("a", "b"), ("c", "b")]
    every, _ = _run(tmp_path, frame)
    assert [(row["arm_a"], row["arm_b"]) for row in every["pairs"]] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    assert found["pairs"][0]["z"] == pytest.approx(every["pairs"][0]["z"])
    assert found["pairs"][1]["z"] == pytest.approx(-every["pairs"][2]["z"])
    (joint,) = every["omnibus"]
    assert joint["df"] == 2


def test_adjustment_is_by_family(tmp_path):
    frame = _frame({"a": [None], "b": [None], "c": [None]}, datasets=("x", "y"))
    found, _ = _run(tmp_path, frame)
    for dataset in ("x", "y"):
        rows = [row for row in found["pairs"] if row["dataset"] == dataset]
        expected = false_discovery_control([row["p"] for row in rows])
        assert [row["p_adjusted"] for row in rows] == pytest.approx(expected.tolist())
        assert {row["family_size"] for row in rows} == {3}
    everything = false_discovery_control([row["p"] for row in found["pairs"]])
    assert [r["p_adjusted_all"] for r in found["pairs"]] == pytest.approx(everything.tolist())
    plain, _ = _run(tmp_path, frame, "--correct", "none")
    assert all(row["p"] == row["p_adjusted"] for row in plain["pairs"])


def test_datasets_are_combined_for_each_pair(tmp_path):
    found, _ = _run(tmp_path, _frame({"a": [1, 2], "b": [1, 2]}, datasets=("x", "y", "z")))
    rows = [row for row in found["combined"] if row["dataset"] == "all"]
    assert [row["method"] for row in rows] == [
        "equal_weights_t",
        "weighted_stouffer",
        "random_effects",
    ]
    exact = [row for row in found["combined"] if row["method"] == "exact_fixed"]
    weights = np.array([1 / row["se"] ** 2 for row in exact])
    mean = weights @ [row["estimate"] for row in exact] / weights.sum()
    assert rows[1]["estimate"] == pytest.approx(mean)
    assert rows[0]["estimate"] == pytest.approx(np.mean([row["estimate"] for row in exact]))
    assert rows[2]["df"] == 2
    assert 0.0 <= rows[2]["i2"] <= 1.0


def test_clusters_can_be_switched_off(tmp_path):
    frame = _frame({"a": [None], "b": [None]}, patients=True)
    clustered, _ = _run(tmp_path, frame)
    plain, _ = _run(tmp_path, frame, "--cluster", "none")
    assert plain["curves"][0]["n_clusters"] == 80
    assert plain["curves"][0]["auc"] == clustered["curves"][0]["auc"]
    assert plain["curves"][0]["se"] != clustered["curves"][0]["se"]


def test_arms_with_different_seeds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    curves = [("a", "0"), ("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "7"), ("c", "8")]
    scores = rng.normal(size=(7, 60)) + labels
    found = compare_arms(labels, scores, curves)
    ab, ac, _ = found.combined
    by_method = {test.method: test for test in ab.tests}
    assert "over the 2 seeds that both arms have" in by_method["strube"].note
    e = found.estimate
    expected = exact_fixed(e.auc, e.covariance, [0, 1, 2], [3, 4])
    assert by_method["exact_fixed"].p == pytest.approx(expected.p)
    assert {pair.seed for pair in found.pairs if pair.arm_b == "b"} == {"1", "2"}
    without = {test.method: test for test in ac.tests}
    assert without["stouffer_naive"].p is None
    assert "share no seed" in without["stouffer_naive"].note
    assert without["obuchowski_rockette_nested"].p is not None


def test_one_seed_against_three():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 60)
    scores = rng.normal(size=(4, 60)) + labels
    curves = [("deep", "0"), ("deep", "1"), ("deep", "2"), ("radiomics", None)]
    (pair,) = compare_arms(labels, scores, curves).combined
    by_method = {test.method: test for test in pair.tests}
    assert by_method["exact_fixed"].p is not None
    assert by_method["ensemble"].p is not None
    assert "two seeds" in by_method["obuchowski_rockette_nested"].note


def test_undefined_is_null_with_a_note(tmp_path):
    frame = pd.DataFrame(
        {
            "case_id": list("cdef") * 2,
            "label": [1, 0, 0, 0] * 2,
            "arm": ["a"] * 4 + ["b"] * 4,
            "score": [4, 1, 2, 3, 1, 2, 3, 4],
        }
    )
    found, _ = _run(tmp_path, frame)
    for row in found["curves"]:
        assert row["auc"] is not None
        assert row["se"] is row["ci_low"] is row["ci_high"] is None
        assert "only one positive" in row["note"]
    (pair,) = found["pairs"]
    assert pair["p"] is pair["z"] is pair["p_adjusted"] is None
    assert pair["family_size"] == 0
    assert pair["note"]


def test_identical_arms_have_p_one(tmp_path):
    frame = _frame({"a": [None]})
    found, _ = _run(tmp_path, pd.concat([frame, frame.assign(arm="b")]))
    (pair,) = found["pairs"]
    assert (pair["difference"], pair["z"], pair["p"]) == (0.0, 0.0, 1.0)


def test_one_arm_alone_is_described(tmp_path):
    found, _ = _run(tmp_path, _frame({"a": [0, 1]}))
    assert len(found["curves"]) == 2
    assert found["pairs"] == found["combined"] == []


def test_errors(tmp_path):
    frame = _frame({"a": [None], "b": [None]})
    with pytest.raises(TableError, match="no arm 'c' to refer to; the arms are: a, b"):
        _run(tmp_path, frame, "--reference", "c")
    with pytest.raises(MammoshiftError, match="line 5, column label"):
        _run(tmp_path, frame.assign(label=[1, 0, 1, 5, *frame["label"][4:]]))
    with pytest.raises(StatisticsError, match="given twice"):
        compare_arms([1, 0], np.zeros((2, 2)), [("a", "0"), ("a", "0")])
    with pytest.raises(StatisticsError, match="1 curves are named but 2"):
        compare_arms([1, 0], np.zeros((2, 2)), [("a", "0")])


@pytest.mark.parametrize("options", [("--correct", "bonferroni"), ("--level", "95")])
def test_wrong_options_are_usage_errors(tmp_path, options):
    app = typer.Typer()
    app.command()(compare)
    table = tmp_path / "table.csv"
    _frame({"a": [None]}).to_csv(table, index=False)
    result = CliRunner().invoke(app, [str(table), *options])
    assert result.exit_code == 2


def test_printing_is_safe_with_hostile_names(tmp_path):
    frame = _frame({"[red]a[/red]": [0, 1], "b\x1b[31m": [0, 1]})
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    report = compare_predictions(read_external_predictions(path), Wishes(), "table.csv")
    stream = io.StringIO()
    print_headline(report, Console(file=stream, width=200))
    print_everything(report, Console(file=stream, width=200))
    printed = stream.getvalue()
    assert "[red]a[/red]" in printed
    assert "\x1b" not in printed
    assert "  as published" in printed


def test_a_result_that_cannot_be_written_names_the_file(tmp_path):
    path = tmp_path / "table.csv"
    _frame({"a": (None,), "b": (None,)}).to_csv(path, index=False)
    with pytest.raises(TableError, match=r"cannot be written .*give --json another file"):
        compare(path, json_out=tmp_path)


def test_the_headline_is_one_table_after_a_conclusion(tmp_path):
    arms = {name: [0, 1, 2] for name in "abcde"}
    frame = _frame(arms, datasets=("w", "x", "y", "z"), patients=True)
    found, printed = _run(tmp_path, frame)
    lines = printed.splitlines()
    assert len(lines) < 45
    assert "supported, with seeds as random" in lines[0]
    assert len(found["headline"]) == 50
    methods = {row["dataset"]: row["method"] for row in found["headline"]}
    assert methods.pop("all") == "seeds_random"
    assert set(methods.values()) == {"obuchowski_rockette_nested"}
    assert "stouffer_naive" not in printed
    _, everything = _run(tmp_path, frame, "--all")
    assert "stouffer_naive" in everything
    assert len(everything.splitlines()) > 300


def test_one_run_speaks_of_its_own_models(tmp_path):
    found, printed = _run(tmp_path, _frame({"a": [None], "b": [None]}))
    assert "of these models alone" in printed
    assert found["headline"][0]["method"] == "exact_fixed"
    assert "one run of an arm" in found["headline"][0]["note"]


def test_drops_and_margins(tmp_path):
    frame = _frame({"a": [0, 1, 2], "b": [0, 1, 2]}, datasets=("home", "away", "far"), n=300)
    found, printed = _run(tmp_path, frame, "--source", "home", "--margin", "0.4")
    assert [(row["dataset"], row["arm_a"]) for row in found["drops"]] == [
        ("away", "a"),
        ("away", "b"),
        ("far", "a"),
        ("far", "b"),
    ]
    for row in found["drops"]:
        assert row["method"] == "seeds_random"
        assert row["simultaneous_low"] < row["ci_low"] < row["ci_high"] < row["simultaneous_high"]
        assert row["verdict"] == "non-inferior"
        assert row["family_size"] == 4
        assert row["verdict_low"] <= row["ci_low"] < row["ci_high"] <= row["verdict_high"] < 0.4
    assert "Losses from home against a margin of 0.4: 4 non-inferior" in printed
    _, without = _run(tmp_path, frame, "--source", "home")
    assert "was not defined" in without
    with pytest.raises(TableError, match="needs that dataset and another"):
        _run(tmp_path, frame, "--source", "nowhere")


def test_a_verdict_stands_beside_the_interval_that_it_is_read_from(tmp_path):
    frame = _frame({"a": [0, 1, 2], "b": [0, 1, 2]}, datasets=("home", "away", "far"), n=300)
    ends = ("--source", "home")
    found, _ = _run(tmp_path, frame, *ends, "--margin", "0.05")
    # A margin between the ends of the two intervals of the drop with the widest gap.
    row = max(found["drops"], key=lambda row: row["verdict_high"] - row["ci_high"])
    assert row["verdict_high"] - row["ci_high"] > 0.002
    margin = row["ci_high"] + 0.001
    again, printed = _run(tmp_path, frame, *ends, "--margin", f"{margin:.4f}")
    for row in again["drops"]:
        assert (row["verdict_high"] < round(margin, 4)) == (row["verdict"] == "non-inferior")
    assert "limits of the verdict" in printed
    assert "Verdicts are corrected for the number of tests (bh)" in printed
    _, plain = _run(tmp_path, frame, *ends, "--margin", "0.05", "--correct", "none")
    assert "limits of the verdict" not in plain


@pytest.mark.parametrize("metric", ["auc", "auprc", "partial_auc", "sensitivity", "specificity"])
def test_a_dataset_of_one_class_is_named_with_its_arms(tmp_path, metric):
    frame = _frame({"a": [0, 1], "b": [0, 1]}, datasets=("home", "clinic"))
    frame.loc[frame["dataset"] == "clinic", "label"] = 0
    wanted = ("--metric", metric, "--source", "home", "--roc")
    found, printed = _run(tmp_path, frame, *wanted)
    assert "clinic has no positive case among 80: " in printed
    assert "is undefined there for a, b." in printed
    assert all(row["estimate"] is None for row in found["drops"])
    assert {row["dataset"] for row in found["roc"]} == {"home"}
    assert all(row["value"] is not None for row in found["arms"] if row["dataset"] == "home")
    _, alone = _run(tmp_path, frame[frame["dataset"] == "clinic"].drop(columns="dataset"))
    assert "There is no positive case among 80: AUC is undefined there for a, b." in alone


def test_few_patients_and_missing_variance_are_said_of_every_measure(tmp_path):
    frame = _frame({"a": [0, 1], "b": [0, 1]}, patients=True)
    frame["label"] = (frame["case_id"] < 16).astype(int)
    frame.loc[frame["arm"] == "b", "score"] = 1.0
    _, printed = _run(tmp_path, frame, "--metric", "sensitivity")
    printed = " ".join(printed.split())
    assert "fewer than 20 patients of one class: intervals and tests are rough" in printed
    assert "no interval: the variance estimate is zero" in printed
    assert "rank these cases alike" not in printed
    found, printed = _run(tmp_path, frame)
    assert "degenerate: all scores are equal" in printed
    assert found["arms"][0]["method"] == "seeds_random_score"
    assert found["arms"][0]["ci_low"] < found["arms"][0]["value"] < found["arms"][0]["ci_high"]


def test_arms_are_compared_over_all_targets_with_seeds_as_random(tmp_path):
    frame = _frame({"a": [0, 1, 2], "b": [0, 1, 2]}, datasets=("home", "x", "y"), patients=True)
    found, printed = _run(tmp_path, frame, "--source", "home")
    (over,) = [row for row in found["headline"] if row["dataset"] == "all"]
    assert over["method"] == "seeds_random"
    curves = {
        where: np.array([r["auc"] for r in found["curves"] if r["dataset"] == where])
        for where in "xy"
    }
    means = (curves["x"] + curves["y"]) / 2
    assert over["estimate"] == pytest.approx(means[:3].mean() - means[3:].mean())
    spread = (means[:3].var(ddof=1) + means[3:].var(ddof=1)) / 3
    assert over["se"] >= math.sqrt(spread)
    assert over["family_size"] == 1
    assert "the mean over 2 datasets, each counting the same" in printed
    one, _ = _run(tmp_path, frame[frame["dataset"] != "y"], "--source", "home")
    assert all(row["dataset"] != "all" for row in one["headline"])


def test_the_same_cases_under_two_names_are_refused(tmp_path):
    frame = _frame({"a": [0, 1], "b": [0, 1]}, datasets=("x",))
    twice = pd.concat([frame, frame.assign(dataset="y")])
    with pytest.raises(TableError, match="'x' and 'y' share 80 cases"):
        _run(tmp_path, twice)
    renamed = frame.assign(dataset="y", case_id=frame["case_id"] + 1000)
    with pytest.raises(TableError, match="share the same labels and scores"):
        _run(tmp_path, pd.concat([frame, renamed]))


def test_probabilities_are_said_and_turned_into_log_odds(tmp_path):
    frame = _frame({"a": [0, 1], "b": [0, 1]})
    logits, plain = _run(tmp_path, frame)
    probable = frame.assign(score=1.0 / (1.0 + np.exp(-frame["score"])))
    _, warned = _run(tmp_path, probable)
    assert "WARNING: all scores lie in [0, 1]" in warned
    assert "WARNING" not in plain
    turned, silent = _run(tmp_path, probable, "--scores", "probability")
    assert "WARNING" not in silent
    ensembles = [
        next(row for row in found["combined"] if row["method"] == "ensemble")
        for found in (logits, turned)
    ]
    assert ensembles[0]["p"] == pytest.approx(ensembles[1]["p"])
    with pytest.raises(TableError, match="outside"):
        _run(tmp_path, frame, "--scores", "probability")


@pytest.mark.parametrize(
    "metric", ["auprc", "partial_auc", "sensitivity", "specificity", "brier", "nll", "calibration"]
)
def test_every_metric_is_compared_with_seeds_as_random(tmp_path, metric):
    frame = _frame(
        {"a": [0, 1, 2], "b": [0, 1, 2]}, datasets=("home", "away"), n=200, patients=True
    )
    options = ("--metric", metric, "--scores", "logit", "--source", "home", "--margin", "0.4")
    found, printed = _run(tmp_path, frame, *options)
    assert {row["method"] for row in found["headline"]} == {"seeds_random"}
    assert len(found["headline"]) == 2 and len(found["drops"]) == 2
    assert len(found["curves"]) == 12 and found["combined"] == []
    for row in found["arms"]:
        assert row["ci_low"] < row["value"] < row["ci_high"]
    value = {(row["dataset"], row["arm"]): row["value"] for row in found["arms"]}
    loss = value["home", "a"] - value["away", "a"]
    drop = next(row for row in found["drops"] if row["arm_a"] == "a")
    sign = -1.0 if metric in ("brier", "nll", "calibration") else 1.0
    assert drop["estimate"] == pytest.approx(sign * loss)
    assert "verdict" in drop and "By a margin of 0.4" in printed


def test_metrics_are_those_of_their_definitions(tmp_path):
    frame = _frame({"a": [None]}, n=120)
    labels, scores = frame["label"].to_numpy(), frame["score"].to_numpy()
    found, _ = _run(tmp_path, frame, "--metric", "brier", "--scores", "logit")
    p = 1.0 / (1.0 + np.exp(-scores))
    assert found["arms"][0]["value"] == pytest.approx(np.mean((p - labels) ** 2))
    found, _ = _run(tmp_path, frame, "--metric", "sensitivity", "--threshold", "0.5")
    assert found["arms"][0]["value"] == pytest.approx((scores[labels == 1] >= 0.5).mean())
    found, _ = _run(tmp_path, frame, "--metric", "specificity", "--sensitivity", "0.8")
    lowest = np.sort(scores[labels == 1])[-int(np.ceil(0.8 * labels.sum()))]
    assert found["arms"][0]["value"] == pytest.approx((scores[labels == 0] < lowest).mean())


def test_an_arm_against_itself_is_non_inferior_by_every_margin(tmp_path):
    frame = _frame({"a": [None]}, n=300)
    other = frame.assign(arm="b", score=frame["score"] + 1e-3 * np.arange(300) % 7)
    for metric in ("auc", "brier"):
        _, printed = _run(
            tmp_path, pd.concat([frame, other]), "--metric", metric, "--scores", "logit",
            "--reference", "a", "--margin", "0.1",
        )  # fmt: skip
        assert "By a margin of 0.1: b is non-inferior to a" in printed


def test_roc_points_have_intervals(tmp_path):
    frame = _frame({"a": [None], "b": [None]})
    found, printed = _run(tmp_path, frame, "--roc")
    assert len(found["roc"]) == 2 * 14
    for row in found["roc"]:
        assert row["sensitivity_ci_low"] <= row["sensitivity"] <= row["sensitivity_ci_high"]
    assert "ROC: sensitivity at a specificity" in printed


@pytest.mark.parametrize(
    "options",
    [("--metric", "accuracy"), ("--metric", "nll", "--scores", "any"), ("--specificity", "95")],
)
def test_impossible_metrics_are_usage_errors(tmp_path, options):
    app = typer.Typer()
    app.command()(compare)
    table = tmp_path / "table.csv"
    _frame({"a": [None]}).to_csv(table, index=False)
    assert CliRunner().invoke(app, [str(table), *options]).exit_code == 2
