"""What arms lose and how they differ: each kind of row is worked out again from the raw tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from fabricated_tables import SHORT, Fabricated, fabricate
from mammoshift.contracts.cases import read_cases, write_cases
from mammoshift.contracts.predictions import read_predictions, write_predictions
from mammoshift.contracts.results import read_comparisons, write_comparisons
from mammoshift.evaluation.calibrate import calibrate_study
from mammoshift.evaluation.combine import combine_seeds
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.drops import auc_drops
from mammoshift.evaluation.evaluate import evaluate_study
from mammoshift.evaluation.families import with_verdicts
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.losses import transfer_losses, transfers_of
from mammoshift.evaluation.measures import Measures
from mammoshift.evaluation.rows import ComparisonRow, MetricRow, as_table
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.recalibration import LogitMap
from mammoshift.statistics.transfer import drop_of_arm

Floats = NDArray[np.float64]
KEYS = ["family", "domain", "arm", "metric", "threshold_from", "subgroup_value", "method"]
MARGINS = {"transfer_drop_auc": 0.25, "transfer_drop_sensitivity": 0.2, "difference_auc": 0.05}
CASE_MIX = ["density", "view"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Fabricated:
    return fabricate(SHORT, tmp_path_factory.mktemp("losses"))


@pytest.fixture(scope="module")
def grid(study: Fabricated) -> Grid:
    return study.grid()


@pytest.fixture(scope="module")
def rows(study: Fabricated, grid: Grid) -> list[ComparisonRow]:
    return compare_study(study.losses(margins=MARGINS, case_mix=CASE_MIX), grid)


@pytest.fixture(scope="module")
def losses(rows: list[ComparisonRow], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("table") / "comparisons.csv"
    write_comparisons(as_table(rows, ComparisonRow), path)
    return read_comparisons(path).set_index(KEYS).sort_index()


def of_drop(losses: pd.DataFrame, domain: str, arm: str, method: str, **where: str) -> pd.Series:
    metric, threshold = where.get("metric", "auc"), where.get("threshold_from", "")
    return losses.loc["transfer_drops", domain, arm, metric, threshold, "all", method]


def raw(
    study: Fabricated, arm: str, domain: str, subset: str
) -> tuple[Floats, Floats, NDArray[np.str_]]:
    """Return labels, logits [seeds, cases] and patients from the files themselves."""
    scored = read_predictions(study.predictions[arm, domain])
    scored = scored[scored["subset"] == subset]
    logits = scored.pivot_table(index="case_id", columns="seed", values="logit").sort_index()
    cases = read_cases(study.cases[domain]).set_index("case_id").loc[logits.index]
    return cases["label"].to_numpy(float), logits.to_numpy().T, cases["patient_id"].to_numpy(str)


def auc_by_pairs(
    labels: Floats, scores: Floats, patients: NDArray[np.str_]
) -> tuple[Floats, Floats]:
    """Return AUC and covariance by the formulas of Obuchowski 1997, over all pairs."""
    x, y = scores[:, labels == 1], scores[:, labels == 0]
    wins = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    auc = wins.mean(axis=(1, 2))
    names = np.unique(patients)
    a, b = (
        np.stack([(v - auc[:, None])[:, owner == name].sum(axis=1) for name in names], axis=1)
        for v, owner in (
            (wins.mean(axis=2), patients[labels == 1]),
            (wins.mean(axis=1), patients[labels == 0]),
        )
    )
    a, b = a / x.shape[1], b / y.shape[1]
    i10, i01, i = (len(set(p)) for p in (patients[labels == 1], patients[labels == 0], patients))
    cross = a @ b.T
    covariance = i10 / (i10 - 1) * a @ a.T + i01 / (i01 - 1) * b @ b.T
    return auc, covariance + i / (i - 1) * (cross + cross.T)


def mean_over_patients(terms: Floats, patients: NDArray[np.str_]) -> tuple[float, float]:
    """Return a mean over cases and its standard error over patients."""
    rest = terms - terms.mean()
    sums = np.array([rest[patients == name].sum() for name in np.unique(patients)]) / terms.size
    return float(terms.mean()), math.sqrt(sums.size / (sums.size - 1) * float(sums @ sums))


def limits_of_loss(study: Fabricated, seeds: float, c: float) -> tuple[float, float]:
    """Return the limits of the loss of `plain` from film to other, from those of the two AUCs."""
    own, other = (
        share_limits(*raw(study, "plain", *place), c)
        for place in (("film", "test"), ("other", "target"))
    )
    (a, low_a, high_a), (b, low_b, high_b) = own, other
    seeds *= c * c
    return (
        a - b - math.sqrt((a - low_a) ** 2 + (high_b - b) ** 2 + seeds),
        a - b + math.sqrt((high_a - a) ** 2 + (b - low_b) ** 2 + seeds),
    )


def share_limits(
    labels: Floats, scores: Floats, patients: NDArray[np.str_], c: float
) -> tuple[float, float, float]:
    """Return the mean AUC and Wilson's limits of it on the answers that its patients are worth."""
    auc, covariance = auc_by_pairs(labels, scores, patients)
    shared = covariance.mean() / np.diag(covariance).mean()
    a = auc.mean()
    parts = auc_covariance(labels, scores, patients).parts
    # Every patient has one label: first the part of the positives, then that of the negatives.
    k = 0.0
    for label, part in zip((1, 0), parts, strict=True):
        images = np.unique(patients[labels == label], return_counts=True)[1]
        beforehand = 0.45 * (images * (1.0 + 0.4 * (images - 1.0))).sum() / images.sum() ** 2
        own = np.diag(part.covariance).mean() / (a * (1.0 - a))
        told = min(part.df, 8.0 * (part.df + 1.0) * a * (1.0 - a))
        k += (told * own + 10.0 * beforehand) / (told + 10.0) * shared
    roots = np.roots([1.0 + c * c * k, -2.0 * a - c * c * k, a * a]).real
    return a, float(roots.min()), float(roots.max())


def test_a_drop_is_that_of_the_pairs_with_the_spread_of_the_seeds(
    study: Fabricated, losses: pd.DataFrame
) -> None:
    at_home = auc_by_pairs(*raw(study, "plain", "film", "test"))
    abroad = auc_by_pairs(*raw(study, "plain", "other", "target"))
    drop, covariance = at_home[0] - abroad[0], at_home[1] + abroad[1]
    fixed = of_drop(losses, "other", "plain", "checkpoints_fixed")
    assert fixed["estimate"] == pytest.approx(drop.mean())
    assert fixed["se"] == pytest.approx(math.sqrt(covariance.mean()))
    shared = (covariance.sum() - np.trace(covariance)) / 6.0
    random = of_drop(losses, "other", "plain", "seeds_random")
    se = math.sqrt(drop.var(ddof=1) / 3.0 + shared)
    assert (random["estimate"], random["se"]) == pytest.approx((drop.mean(), se))
    seeds = max(0.0, drop.var(ddof=1) - (np.trace(covariance) - covariance.sum() / 3.0) / 2.0)
    low, high = limits_of_loss(study, seeds / 3.0, stats.t.ppf(0.975, random["df"]))
    assert (random["ci_low"], random["ci_high"]) == pytest.approx((low, high))
    assert random["headline"] == "True"
    assert fixed["headline"] == "False"
    assert random["from_domain"] == "film"


def test_a_verdict_is_that_of_two_one_sided_tests(losses: pd.DataFrame) -> None:
    drops = losses.loc["transfer_drops"]
    drops = drops[(drops["headline"] == "True") & (drops["margin"] == 0.25)]
    assert len(drops) == 4
    low, high = drops["p_noninferior"], 1.0 - drops["p_noninferior"]
    assert ((low < 0.025) == (drops["ci_high"] < 0.25)).all()
    assert ((high < 0.025) == (drops["ci_low"] > 0.25)).all()
    np.testing.assert_allclose(drops["p_inferior_adjusted"], stats.false_discovery_control(high))
    adjusted = stats.false_discovery_control(low)
    np.testing.assert_allclose(drops["p_noninferior_adjusted"], adjusted)
    other = stats.false_discovery_control(high)
    expected = np.where(
        adjusted < 0.025, "non-inferior", np.where(other < 0.025, "inferior", "undecided")
    )
    assert drops["verdict"].tolist() == expected.tolist()
    assert len(set(expected)) > 1
    without = losses[losses["margin"].isna()]
    assert (without["verdict"] == "").all()
    assert (losses.loc[losses["headline"] == "False", "verdict"] == "").all()


def level_of(grid: Grid, domain: str, arm: str, high: float) -> float:
    """Return the level at which the upper limit of a loss is `high`."""
    (transfer,) = (t for t in transfers_of(grid) if t.other.domain == domain and arm in t.arms)
    drops = auc_drops(transfer.own, transfer.other, [arm])

    def above(level: float) -> float:
        limit = drop_of_arm(drops, [0, 1, 2], level).ci_high
        assert limit is not None
        return limit - high

    return brentq(above, 0.5, 0.999999)


def test_limits_for_all_drops_at_once_are_wider_by_one_level(
    losses: pd.DataFrame, grid: Grid
) -> None:
    drops = losses.loc["transfer_drops"]
    drops = drops[drops["simultaneous_low"].notna()]
    assert set(drops.index.get_level_values("method")) == {"seeds_random"}
    assert len(drops) == 4
    levels = [
        level_of(grid, key[0], key[1], row["simultaneous_high"]) for key, row in drops.iterrows()
    ]
    np.testing.assert_allclose(levels, levels[0], rtol=1e-6)
    assert 0.95 < levels[0] <= 1.0 - 0.05 / 4 + 0.001


def test_the_difference_of_drops_is_that_of_the_two_rows(losses: pd.DataFrame) -> None:
    rows = losses[(losses["from_domain"] == "film") & (losses["reference"] == "plain")]
    for method in ("seeds_random", "checkpoints_fixed"):
        found = rows.loc["away", "digital", "better", "auc", "", "all", method]
        drops = [of_drop(losses, "digital", arm, method)["estimate"] for arm in ("better", "plain")]
        assert found["estimate"] == pytest.approx(drops[0] - drops[1])


def test_rates_at_transferred_thresholds_are_counted(
    study: Fabricated, losses: pd.DataFrame
) -> None:
    found = {}
    for arm in ("plain", "better"):
        labels, logits, _ = raw(study, arm, "film", "validation")
        thresholds = []
        for row in logits:
            candidates = np.sort(row)
            spec = np.array([(row[labels == 0] < t).mean() for t in candidates])
            thresholds.append(candidates[spec >= 0.95][0])
        for domain, subset in (("film", "test"), ("digital", "target")):
            y, scores, owner = raw(study, arm, domain, subset)
            called = (scores >= np.array(thresholds)[:, None])[:, y == 1].mean(axis=0)
            found[arm, domain] = called, owner[y == 1]
    terms = found["better", "digital"][0] - found["plain", "digital"][0]
    value, se = mean_over_patients(terms, found["better", "digital"][1])
    where = ("sensitivity", "own_validation", "all", "checkpoints_fixed")
    row = losses.loc[("away", "digital", "better", *where)]
    assert (row["estimate"], row["se"]) == pytest.approx((value, se))
    pair = [mean_over_patients(*found["plain", domain]) for domain in ("film", "digital")]
    drop = losses.loc[("transfer_drops", "digital", "plain", *where)]
    assert drop["estimate"] == pytest.approx(pair[0][0] - pair[1][0])
    assert drop["se"] == pytest.approx(math.hypot(pair[0][1], pair[1][1]))
    assert "thresholds held fixed" in drop["note"]


def test_the_brier_score_is_compared_over_patients(study: Fabricated, losses: pd.DataFrame) -> None:
    errors = {}
    for arm in ("plain", "better"):
        labels, logits, owner = raw(study, arm, "film", "test")
        errors[arm] = ((1.0 / (1.0 + np.exp(-logits)) - labels) ** 2).mean(axis=0)
    value, se = mean_over_patients(errors["better"] - errors["plain"], owner)
    row = losses.loc["home", "film", "better", "brier", "", "all", "checkpoints_fixed"]
    assert (row["estimate"], row["se"]) == pytest.approx((value, se))
    assert row["p"] == pytest.approx(2.0 * stats.t.sf(abs(value / se), row["df"]))


def test_the_difference_inside_a_subgroup_is_that_of_its_cases(
    study: Fabricated, losses: pd.DataFrame
) -> None:
    means = []
    cases = read_cases(study.cases["digital"]).sort_values("case_id")
    inside = (cases["density"] == "d").to_numpy()
    for arm in ("better", "plain"):
        labels, logits, owner = raw(study, arm, "digital", "target")
        means.append(auc_by_pairs(labels[inside], logits[:, inside], owner[inside])[0].mean())
    rows = losses[losses["subgroup"] == "density"]
    row = rows.loc["away", "digital", "better", "auc", "", "d", "seeds_random"]
    assert row["estimate"] == pytest.approx(means[0] - means[1])
    assert row["n"] == inside.sum()
    assert row["family_size"] == str(8)


def test_a_drop_at_the_own_case_mix_weights_the_strata(
    study: Fabricated, losses: pd.DataFrame
) -> None:
    strata, parts = {}, {}
    for domain, subset in (("film", "test"), ("other", "target")):
        labels, logits, _ = raw(study, "plain", domain, subset)
        cases = read_cases(study.cases[domain])
        cases = cases[[subset in own for own in cases["subsets"]]].sort_values("case_id")
        strata[domain] = (cases["density"] + cases["view"]).to_numpy(str)
        parts[domain] = labels, logits
    weights = {"film": np.ones(strata["film"].size), "other": np.ones(strata["other"].size)}
    for side in (0, 1):
        for stratum in np.unique(strata["other"]):
            share = {
                d: ((strata[d] == stratum) & (parts[d][0] == side)).sum()
                / (parts[d][0] == side).sum()
                for d in weights
            }
            own = (strata["other"] == stratum) & (parts["other"][0] == side)
            weights["other"][own] = share["film"] / share["other"] if share["other"] else 0.0
    means = []
    for domain, (labels, logits) in parts.items():
        u, v = weights[domain][labels == 1], weights[domain][labels == 0]
        wins = logits[:, labels == 1][:, :, None] > logits[:, labels == 0][:, None, :]
        means.append((np.einsum("kij,i,j->k", wins, u, v) / u.sum() / v.sum()).mean())
    row = of_drop(losses, "other", "plain", "seeds_random", metric="auc_standardised")
    assert row["estimate"] == pytest.approx(means[0] - means[1])
    assert "what was not measured" in row["note"]


def test_the_support_of_an_equal_case_mix_is_stated(study: Fabricated, grid: Grid) -> None:
    settings = study.evaluation(case_mix=CASE_MIX, subgroups=[], bootstrap_resamples=100)
    table = as_table(evaluate_study(settings, grid), MetricRow)
    own = table[(table["domain"] == "other") & (table["arm"] == "plain")].set_index("metric")
    assert own.loc["case_mix_strata_pos", "value"] == 8.0
    assert own.loc["case_mix_target_share_neg", "value"] == 1.0
    effective = own.loc["case_mix_effective_pos"]
    assert 1.0 < effective["value"] <= effective["n_pos"]


# Properties, through the whole evaluation


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fabricated, Grid]:
    """Make every other domain a copy of the film's test cases, of patients with other names."""
    tables = fabricate(SHORT, tmp_path_factory.mktemp("twice"))
    film = read_cases(tables.cases["film"])
    film = film[[own == ("test",) for own in film["subsets"]]]
    for domain in ("digital", "other"):

        def renamed(text: pd.Series, domain: str = domain) -> pd.Series:
            return text.str.replace("film", domain, regex=False)

        columns = ["case_id", "image_id", "item_id", "unit_id"]
        copy = film.assign(**{name: renamed(film[name]) for name in columns})
        copy = copy.assign(domain=domain, dataset=domain, patient_id=domain + film["patient_id"])
        copy["subsets"] = [("target",)] * len(copy)
        write_cases(copy, tables.cases[domain])
        for arm in ("plain", "better"):
            scored = read_predictions(tables.predictions[arm, "film"])
            scored = scored[scored["subset"] == "test"]
            scored = scored.assign(case_id=renamed(scored["case_id"]), domain=domain)
            write_predictions(scored.assign(subset="target"), tables.predictions[arm, domain])
    return tables, tables.grid()


def test_a_model_loses_nothing_against_itself_and_an_equal_mix_changes_nothing(
    twice: tuple[Fabricated, Grid],
) -> None:
    tables, grid = twice
    settings = tables.losses(families=[], case_mix=CASE_MIX, bootstrap_resamples=100)
    table = as_table(compare_study(settings, grid), ComparisonRow)
    at_own = table["threshold_from"] != "own_validation"
    np.testing.assert_allclose(table["estimate"], 0.0, atol=1e-12)
    assert (table.loc[at_own, "se"] > 0.0).all()
    assert (table["ci_low"] < 0.0).all()
    assert (table["ci_high"] > 0.0).all()
    assert (table["p"] > 0.99).all()
    rows = table.set_index(["metric", "domain", "arm", "method"])
    columns = ["estimate", "se", "df", "ci_low", "ci_high"]
    plain, standardised = (rows.loc[name][columns] for name in ("auc", "auc_standardised"))
    pd.testing.assert_frame_equal(standardised, plain, check_exact=False, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("margins", [(0.02, 0.1, 0.2, 0.4, 0.8)])
def test_margins_are_monotone(
    study: Fabricated, rows: list[ComparisonRow], margins: Sequence[float]
) -> None:
    order = ["inferior", "undecided", "non-inferior"]
    drops = [row for row in rows if row.family == "transfer_drops" and row.metric == "auc"]
    found = []
    for margin in margins:
        settings = study.comparison(margins={"transfer_drop_auc": margin})
        judged = [row for row in with_verdicts(settings, drops, "bh") if row.headline]
        found.append([(order.index(row.verdict), row.p_noninferior or 0.0) for row in judged])
    places = np.array(found)
    assert (np.diff(places[:, :, 0], axis=0) >= 0).all()
    assert (np.diff(places[:, :, 1], axis=0) <= 0).all()
    assert set(places[-1, :, 0]) == {2.0}


# What is said of what cannot be tested


def test_an_arm_of_one_run_gets_claims_about_this_model_alone(
    study: Fabricated, grid: Grid
) -> None:
    cells = {
        key: replace(cell, logits=cell.logits[:, :1], seeds=(0,))
        for key, cell in grid.cells.items()
    }
    settings = study.losses(seeds=[0], subgroups=[], bootstrap_resamples=100, margins=MARGINS)
    one = Grid(settings, cells)
    table = as_table(compare_study(settings, one), ComparisonRow)
    led = table[table["headline"]]
    assert set(led["method"]) == {"checkpoints_fixed"}
    assert led["note"].str.contains("a statement about these models alone").all()
    assert led.loc[led["margin"].notna(), "verdict"].ne("").all()
    metrics = evaluate_study(study.evaluation(seeds=[0], bootstrap_resamples=100), one)
    means = [row for row in metrics if row.seed == "mean" and row.metric == "auc"]
    whole = {row.method for row in means if row.subset == "target" and row.subgroup == "all"}
    assert whole == {"score_obuchowski"}
    assert not any(row.metric == "auc_of_models" for row in metrics)


def test_a_subgroup_that_is_too_small_is_named_and_not_tested(
    grid: Grid, study: Fabricated
) -> None:
    cell = grid.cells["digital", "target"]
    cases = cell.cases.copy()
    rare = cases["cluster"].isin(cases["cluster"].unique()[:6])
    cases["density"] = np.where(rare, "rare", "usual")
    settings = study.losses(bootstrap_resamples=100)
    cells = {**grid.cells, ("digital", "target"): replace(cell, cases=cases)}
    changed = Grid(settings, cells)
    table = as_table(compare_study(settings, changed), ComparisonRow)
    inside = table[(table["domain"] == "digital") & (table["subgroup"] == "density")]
    small = inside[inside["subgroup_value"] == "rare"]
    assert small["p"].isna().all()
    assert small["note"].tolist() == ["not tested: fewer than 10 patients of a class"]
    assert inside.loc[inside["subgroup_value"] == "usual", "p"].notna().all()


def test_domains_of_one_archive_are_combined_only_without_patients_in_common(
    study: Fabricated, tmp_path: Path
) -> None:
    domains = [dict(domain) for domain in study.judged["domains"]]
    domains[1]["shares_datasets_with"], domains[2]["shares_datasets_with"] = ["other"], ["digital"]
    tables = fabricate({**study.judged, "domains": domains}, tmp_path)
    elsewhere = as_table(combine_seeds(tables.comparison(), tables.grid()), ComparisonRow)
    assert elsewhere.loc[elsewhere["domain"] == "all_targets", "p"].notna().all()
    tables.edit_cases(lambda t: t.assign(dataset="archive"), ["digital", "other"])
    refused = as_table(combine_seeds(tables.comparison(), tables.grid()), ComparisonRow)
    refused = refused[refused["domain"] == "all_targets"]
    assert refused["p"].isna().all()
    assert (
        refused["note"]
        .eq("undefined: digital and other have 120 patients or images in common")
        .all()
    )
    tables.edit_cases(lambda t: t.assign(patient_id="new" + t["patient_id"]), ["other"])
    grid = tables.grid()
    combined = as_table(combine_seeds(tables.comparison(), grid), ComparisonRow)
    assert combined.loc[combined["domain"] == "all_targets", "p"].notna().all()
    settings = tables.losses(families=[], subgroups=[], bootstrap_resamples=100)
    drops = transfer_losses(settings, grid, Measures(settings, grid))
    assert all(row.simultaneous_low is None for row in drops)


def test_the_fitted_maps_are_kept(study: Fabricated, grid: Grid) -> None:
    settings = study.calibration().model_copy(
        update={"calibration": ("temperature_source", "platt_target_crossfit", "prior_shift")}
    )
    table = as_table(calibrate_study(settings, grid), MetricRow)
    here = table[(table["domain"] == "other") & (table["arm"] == "plain") & (table["seed"] == "1")]
    logits, labels = (
        grid.cells["other", "target"].of("plain")[1],
        grid.cells["other", "target"].labels,
    )
    for method in ("temperature", "prior_shift"):
        own = here[here["recalibration"] == method].set_index("metric")["value"]
        mapped = LogitMap(method, own["scale"], own["shift"], 0, 0).apply(logits)
        brier = ((1.0 / (1.0 + np.exp(-mapped)) - labels) ** 2).mean()
        assert own["brier"] == pytest.approx(brier)
    crossed = here[(here["recalibration"] == "platt") & (here["fold"] != "")]
    assert crossed["fold"].unique().tolist() == ["0", "1", "2", "3", "4"]
    assert set(crossed["metric"]) == {"scale", "shift"}
    assert (table.loc[table["seed"] == "mean", "fold"] == "").all()


def test_a_loss_between_domains_with_other_labels_says_so(study: Fabricated) -> None:
    tasks = {"film": "malignant_vs_rest", "digital": "abnormal_vs_normal"}
    domains = [
        {**domain, "task": tasks.get(domain["name"], "malignant_vs_rest")}
        for domain in study.judged["domains"]
    ]
    grid = study.grid(domains=domains)
    said = {transfer.other.domain: transfer.labels for transfer in transfers_of(grid)}
    assert said == {
        "digital": "other labels: malignant_vs_rest on film, abnormal_vs_normal on digital",
        "other": "",
    }
    settings = study.losses(domains=domains, bootstrap_resamples=20)
    noted = {
        row.domain
        for row in transfer_losses(settings, grid, Measures(settings, grid))
        if "other labels" in row.note
    }
    assert noted == {"digital"}
