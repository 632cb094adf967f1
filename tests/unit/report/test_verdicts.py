"""The answer of a report: verdicts, claims about models alone, and what a reader is warned of."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from fabricated_study import ASSETS, Recipe, fabricate

from mammoshift.configuration.judged import Margins
from mammoshift.report.figure_data import reliability_data, roc_data
from mammoshift.report.figures.curves import reliability_panels, roc_panels
from mammoshift.report.findings import findings
from mammoshift.report.inputs import ReportData, load_report_data
from mammoshift.report.machine_readable import reporting_facts
from mammoshift.report.tables.comparisons import headline_comparison_table
from mammoshift.report.tables.training import audit_table
from mammoshift.report.tables.transfer import transfer_table
from mammoshift.report.verdicts import ALONE, NO_ARM_BEATS_CHANCE, reference_arm, verdicts


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    recipe = Recipe(arms=("resnet", "vit"), targets=("cmmd", "dmid"), patients=30)
    return load_report_data(fabricate(tmp_path_factory.mktemp("verdicts"), recipe))


def judged(data: ReportData, *outcomes: str, margin: float = 0.2) -> ReportData:
    """Give the reference arm's drops these verdicts, in the order of the targets."""
    tests = data.comparisons.copy()
    own = (tests["family"] == "transfer_drops") & (tests["arm"] == "resnet")
    own &= tests["method"] == "seeds_random"
    tests.loc[own, "margin"] = margin
    tests.loc[own, "verdict"] = list(outcomes)
    tests.loc[own, ["p_noninferior_adjusted", "p_inferior_adjusted"]] = [0.004, 0.996]
    settings = data.settings.model_copy(update={"margins": Margins(transfer_drop_auc=margin)})
    return replace(data, comparisons=tests, settings=settings)


def below_chance(data: ReportData, arms: tuple[str, ...]) -> ReportData:
    metrics = data.metrics.copy()
    own = metrics["arm"].isin(arms) & (metrics["metric"] == "auc")
    metrics.loc[own & (metrics["subset"] == "test"), ["value", "ci_low", "ci_high"]] = (
        0.42,
        0.3,
        0.54,
    )
    return replace(data, metrics=metrics)


def texts(data: ReportData, kind: str) -> list[str]:
    return [finding.text for finding in findings(data) if finding.kind == kind]


def test_a_judged_domain_without_a_positive_case_is_said_to_have_no_auc(data: ReportData) -> None:
    metrics = data.metrics.copy()
    metrics.loc[metrics["domain"] == "dmid", "n_pos"] = 0
    found = texts(replace(data, metrics=metrics), "caution")
    (said,) = [text for text in found if "no AUC can be computed" in text]
    assert said.startswith("dmid") and "has no positive case" in said
    assert not any("Few cases" in text and "dmid" in text for text in found)


def test_a_table_says_of_a_drop_what_the_answer_says(data: ReportData) -> None:
    hopeless = below_chance(judged(data, "non-inferior", "undecided"), ("resnet", "vit"))
    table = transfer_table(hopeless)
    assert table is not None
    cells = table.cells.set_index("Arm")
    assert set(cells.loc["resnet", "Verdict"]) == {"not judgeable"}


def test_without_a_margin_survival_was_not_defined(data: ReportData) -> None:
    found = verdicts(data)
    assert reference_arm(data.settings) == "resnet"
    assert [(v.arm, v.domain, v.outcome) for v in found] == [
        ("resnet", "cmmd", "no margin declared"),
        ("resnet", "dmid", "no margin declared"),
    ]
    assert found[0].loss == pytest.approx(0.17)
    assert found[0].about_architecture
    assert all("survives was not defined" in text for text in texts(data, "verdict"))
    (text,) = {v.sentence for v in verdicts(data, "vit") if v.domain == "dmid"}
    assert text.startswith("dmid: vit: AUC on cbis_ddsm minus AUC here 0.220 (0.130 to 0.310).")


def test_each_outcome_has_its_sentence(data: ReportData) -> None:
    first = judged(data, "non-inferior", "undecided")
    survives, unclear = texts(first, "verdict")
    assert "cmmd: resnet is non-inferior: a loss of 0.200 or more is excluded" in survives
    assert "adjusted p = 0.004" in survives
    assert "dmid: resnet is undecided" in unclear
    (lost, _) = texts(judged(data, "inferior", "undecided", margin=0.05), "verdict")
    assert "it loses more than the margin of 0.050" in lost
    table = transfer_table(first)
    assert table is not None
    cells = table.cells.set_index(["Domain", "Arm"])
    assert cells.loc[("cmmd", "resnet"), ["Margin", "Verdict"]].tolist() == [
        "0.200",
        "non-inferior",
    ]
    facts = reporting_facts(first, findings(first))
    assert [v["outcome"] for v in facts["verdicts"]] == ["non-inferior", "undecided"]
    assert facts["margins"] == {"transfer_drop_auc": 0.2}


def test_arms_at_chance_lead_the_answer_and_nothing_is_made_of_their_drops(
    data: ReportData,
) -> None:
    hopeless = below_chance(judged(data, "non-inferior", "undecided"), ("resnet", "vit"))
    found = findings(hopeless)
    assert found[0].kind == "verdict"
    assert found[0].text.startswith(NO_ARM_BEATS_CHANCE)
    assert len(texts(hopeless, "verdict")) == 1
    assert {v.outcome for v in verdicts(hopeless)} == {"not judgeable"}
    assert not any("at the target" in text for text in texts(hopeless, "supported"))
    assert any("is not judged" in text for text in texts(hopeless, "not_supported"))


def test_an_arm_at_chance_is_left_out_of_what_is_said_of_drops(data: ReportData) -> None:
    one = below_chance(data, ("resnet",))
    assert all("cannot be judged: on held-out" in text for text in texts(one, "verdict"))
    (drops,) = [text for text in texts(one, "supported") if "at the target" in text]
    assert "for vit on" in drops
    assert "resnet" not in drops


def test_a_leak_or_a_missing_interval_gives_no_verdict(data: ReportData) -> None:
    domains = tuple(
        domain.model_copy(update={"leak": "by_row"}) if domain.name == "dmid" else domain
        for domain in data.settings.domains
    )
    tests = data.comparisons.copy()
    gone = (tests["family"] == "transfer_drops") & (tests["domain"] == "cmmd")
    tests.loc[gone, ["estimate", "se", "ci_low", "ci_high"]] = np.nan
    tests.loc[gone, "note"] = "undefined: there is no positive case"
    settings = data.settings.model_copy(update={"domains": domains})
    found = verdicts(replace(data, comparisons=tests, settings=settings))
    assert [v.outcome for v in found] == ["not judgeable"] * 2
    assert found[0].reason == "undefined: there is no positive case"
    assert "patients in training and in test" in found[1].reason


def test_one_run_supports_claims_about_these_models_alone(tmp_path: Path) -> None:
    recipe = Recipe(arms=("resnet", "vit"), targets=("cmmd",), seeds=(0,), patients=30)
    one = load_report_data(fabricate(tmp_path, recipe))
    tests = one.comparisons.copy()
    tests.loc[tests["headline"] == "True", "method"] = [
        "exact_fixed" if family != "transfer_drops" else "checkpoints_fixed"
        for family in tests.loc[tests["headline"] == "True", "family"]
    ]
    one = replace(one, comparisons=tests)
    assert texts(one, "supported") == []
    alone = texts(one, "these_models")
    assert any("at the target is lower" in text for text in alone)
    assert any("is lower than that of resnet" in text for text in alone)
    assert all("about these models alone" in text for text in alone)
    (verdict,) = verdicts(one)
    assert not verdict.about_architecture
    assert verdict.sentence.endswith(ALONE)


def test_a_combination_over_targets_is_about_these_models(data: ReportData) -> None:
    tests = data.comparisons
    row = tests[(tests["headline"] == "True") & (tests["family"] == "transfer")].iloc[:1]
    over = row.assign(
        domain="all_targets", method="equal_weights_t", p_adjusted=0.001, family_size="1"
    )
    found = replace(data, comparisons=pd.concat([tests, over], ignore_index=True))
    assert any("all targets together" in text for text in texts(found, "these_models"))
    assert not any("all targets together" in text for text in texts(found, "supported"))


def test_a_difference_of_one_or_more_is_called_impossible(data: ReportData) -> None:
    tests = data.comparisons.copy()
    tests.loc[tests["family"] == "transfer", "detectable_difference"] = [1.3] * int(
        (tests["family"] == "transfer").sum()
    )
    found = replace(data, comparisons=tests)
    (text,) = [t for t in texts(found, "not_supported") if "family transfer" in t]
    assert "no possible difference would be found" in text
    table = headline_comparison_table(found)
    assert table is not None
    shown = table.cells.set_index("Domain")["Detectable with 80% power"]
    assert shown["cmmd"] == "no possible difference"
    assert shown["cbis_ddsm (test)"] == "0.067"


def test_unknown_patients_are_a_caution_wherever_they_were_divided(data: ReportData) -> None:
    cohort = data.cohort.copy()
    own = (cohort["characteristic"] == "images_without_patient") & (cohort["subset"] != "train")
    cohort.loc[own & cohort["domain"].isin({"cbis_ddsm", "dmid"}), "count"] = 4
    found = replace(data, cohort=cohort)
    (text,) = [t for t in texts(found, "caution") if "do not name the patient" in t]
    assert "8 of cbis_ddsm and 4 of dmid" in text
    assert "In cbis_ddsm such images were divided between training and test" in text
    audit = pd.DataFrame(
        {"check": ["patient_unknown"], "outcome": ["pass"], "detail": ["0 examined, 0 found"]}
    )
    table = audit_table(replace(found, audit=audit))
    assert table is not None
    assert table.cells["Detail"].iloc[0].endswith("covers: cbis_ddsm 8 and dmid 4")
    assert not any("do not name" in t for t in texts(data, "caution"))


def test_a_loss_that_wants_densities_needs_some(data: ReportData) -> None:
    described = tuple(
        arm.model_copy(update={"settings": {"loss": {"name": "density_aware_focal"}}})
        for arm in data.settings.described_arms
    )
    wants = data.settings.model_copy(update={"described_arms": described})
    assert not any("density" in t for t in texts(replace(data, settings=wants), "caution"))
    cells = {
        key: replace(cell, cases=cell.cases.assign(density=None))
        for key, cell in data.grid.cells.items()
    }
    none = replace(data, settings=wants, grid=replace(data.grid, cells=cells))
    (text,) = [t for t in texts(none, "caution") if "density" in t]
    assert "resnet (on cbis_ddsm) and vit (on cbis_ddsm)" in text


def test_captions_explain_what_is_drawn_alone(data: ReportData) -> None:
    cell = data.grid.cells["cmmd", "target"]
    with_t = reliability_panels(
        reliability_data(cell, {(a, s): 1.5 for a in cell.arms for s in cell.seeds}), "a", "cmmd"
    )
    without = reliability_panels(reliability_data(cell, {}), "b", "cmmd")
    assert with_t.drawn == {"temperature"}
    assert without.drawn == set()
    assert "temperature" not in without.drawing.svg
    one = replace(cell, logits=cell.logits[:1, :1], arms=cell.arms[:1], seeds=cell.seeds[:1])
    roc = roc_panels(roc_data(one), "c", "cmmd", {}, "resnet", 0.95)
    assert roc.drawn == set()
    both = roc_panels(roc_data(cell), "d", "cmmd", {}, "resnet", 0.95)
    assert both.drawn == {"seeds", "reference"}
    captions = yaml.safe_load((ASSETS / "captions.yaml").read_text(encoding="utf-8"))["figures"]
    for name, drawn in (("roc", both.drawn), ("reliability", with_t.drawn)):
        assert set(captions[name]["where_drawn"]) == drawn


def test_an_interval_beyond_the_margin_is_not_called_undecided_without_a_reason(
    data: ReportData,
) -> None:
    (first, _) = texts(judged(data, "undecided", "undecided", margin=0.02), "verdict")
    assert "both possible" not in first
    assert "lies above the margin of 0.020, but not after correction" in first
    assert "one-sided adjusted p > 0.99" in first
    (within, _) = texts(judged(data, "undecided", "undecided", margin=0.2), "verdict")
    assert "losses below and above the margin of 0.200 are both possible" in within


def test_targets_that_share_a_reason_share_a_sentence(data: ReportData) -> None:
    (text,) = texts(below_chance(data, ("resnet",)), "verdict")
    assert text.startswith("cmmd and dmid: transfer of resnet cannot be judged: on held-out")


def test_a_study_without_another_domain_is_not_told_of_transfer(tmp_path: Path) -> None:
    recipe = Recipe(arms=("resnet", "vit"), targets=(), patients=30)
    home = load_report_data(fabricate(tmp_path, recipe))
    assert texts(home, "verdict") == []
    assert texts(home, "caution")[0].startswith(
        "Transfer is not asked here: resnet, the reference, is judged on"
    )
    (hopeless,) = texts(below_chance(home, ("resnet", "vit")), "verdict")
    assert "transfer" not in hopeless
    assert hopeless.startswith(NO_ARM_BEATS_CHANCE)


def test_the_interval_of_these_models_is_called_so(data: ReportData) -> None:
    hopeless = below_chance(data, ("resnet", "vit"))
    assert "The AUC (95% CI) is resnet" in texts(hopeless, "verdict")[0]
    metrics = hopeless.metrics
    models = metrics[(metrics["metric"] == "auc") & (metrics["seed"] == "mean")]
    models = models.assign(metric="auc_of_models")
    both = replace(hopeless, metrics=pd.concat([metrics, models], ignore_index=True))
    (first,) = texts(both, "verdict")
    assert re.search(r"The AUC is resnet 0\.\d+", first)
    assert "no interval of these models alone lies above 0.5" in first
    # The summary figure beside it has the limits for other seeds; two kinds would contradict.
    assert not re.search(r"\(0\.\d+", first)


def test_few_cases_are_a_caution(data: ReportData) -> None:
    metrics = data.metrics.copy()
    metrics[["n_pos", "n_neg"]] = [40, 60]
    many = replace(data, metrics=metrics)
    assert not [text for text in texts(many, "caution") if "Few cases decide" in text]
    metrics.loc[metrics["domain"] == "dmid", "n_pos"] = 13
    (text,) = [text for text in texts(many, "caution") if "Few cases decide" in text]
    assert "dmid has 13 positive and 60 negative." in text


def test_a_calibration_without_fault_is_no_caution(data: ReportData) -> None:
    metrics = data.metrics.copy()
    metrics.loc[metrics["metric"] == "ece", "value"] = 0.5
    wrong = replace(data, metrics=metrics)
    assert [text for text in texts(wrong, "caution") if "calibration error lies above" in text]
    metrics = metrics.copy()
    metrics.loc[metrics["metric"] == "ece", "value"] = 0.0
    right = replace(data, metrics=metrics)
    assert not [text for text in texts(right, "caution") if "calibration error" in text]
