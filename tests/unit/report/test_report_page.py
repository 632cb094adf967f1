"""The whole report: self-contained, accessible, escaped, complete and equal byte for byte."""

from __future__ import annotations

import csv
import hashlib
import html
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from fabricated_study import ASSETS, Recipe, fabricate
from matplotlib.figure import Figure

from mammoshift.contracts.contact_sheet import SheetRecord, ShownImage, write_record
from mammoshift.contracts.gallery import GalleryRecord, ShownCase, write_gallery_record
from mammoshift.errors import ConfigurationError, TableError
from mammoshift.report.build import build_report
from mammoshift.report.circumstances import Circumstances, Computed, Revision
from mammoshift.report.figures.style import ReportFigure, draw, house_style, write_figure
from mammoshift.report.formatting import typographic
from mammoshift.report.html import load_assets
from mammoshift.report.inputs import ReportInputs

HOSTILE = '<script>alert("x")</script> & "quoted" $a_b$ {{ 7 * 7 }}'
HOSTILE_NAME = 'a<b>&"c" $x_1$ --> url(#y) id="z"'
SCRIPT = (ASSETS / "report.js").read_text(encoding="utf-8")
SMALL = Recipe(arms=("resnet", "vit"), targets=("cmmd",), seeds=(0,), patients=30)


def parsed(drawing: Path) -> ET.Element:
    return ET.fromstring(drawing.read_bytes())  # noqa: S314 - written by the test itself


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    inputs = fabricate(folder / "in", Recipe(targets=("cmmd", "dmid"), patients=40))
    build_report(inputs, folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return fabricate(tmp_path_factory.mktemp("small"), SMALL)


class Outline(HTMLParser):
    """Collects what the checks of the page need."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.unbalanced: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        if tag == "a":
            self.links.append(str(attributes["href"]))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in {"meta", "br"}:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    return outline


def test_the_markup_is_balanced_and_identifiers_are_unique(outline: Outline) -> None:
    assert outline.unbalanced == []
    assert outline.open == []
    repeated = {name for name in outline.ids if outline.ids.count(name) > 1}
    assert repeated == set()


def test_every_link_leads_to_a_place_on_the_page(outline: Outline) -> None:
    assert len(outline.links) >= 14
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)


def test_headings_do_not_skip_a_level(outline: Outline) -> None:
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    steps = zip(outline.headings, outline.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


def test_the_page_needs_nothing_else(page: str, outline: Outline) -> None:
    loading = {"img", "link", "iframe", "object", "embed", "base", "form", "source"}
    assert not loading & {tag for tag, _ in outline.tags}
    assert not any(name in attrs for _, attrs in outline.tags for name in ("src", "srcset"))
    assert page.count("<script") == 1
    assert f"<script>\n{SCRIPT}</script>" in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    urls = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert urls <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"\son[a-z]+=", page)


def test_every_table_has_a_caption_and_scoped_heads(page: str) -> None:
    tables = re.findall(r"<table .*?</table>", page, flags=re.DOTALL)
    assert len(tables) >= 15
    for table in tables:
        assert re.search(r"<caption><strong>Table \d+\.</strong> \S", table)
        assert re.findall(r"<th (?!scope=)", table) == []
    numbers = [int(number) for number in re.findall(r"<caption><strong>Table (\d+)", page)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_rows_of_every_table_are_complete(page: str) -> None:
    for table in re.findall(r"<table .*?</table>", page, flags=re.DOTALL):
        columns = table.count('scope="col"')
        body = table[table.index("<tbody>") :]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.DOTALL):
            assert row.count('<th scope="row"') + row.count("<td") == columns


def test_every_figure_is_titled_and_described(page: str) -> None:
    figures = re.findall(r"<figure .*?</figure>", page, flags=re.DOTALL)
    assert len(figures) >= 15
    numbers = []
    for figure in figures:
        numbers.append(int(re.search(r"<strong>Figure (\d+)\.", figure)[1]))  # type: ignore[index]
        label = re.search(r'role="img" aria-labelledby="(\S+) (\S+)"', figure)
        assert label is not None
        assert re.search(rf'<title id="{label[1]}">\S', figure)
        assert re.search(rf'<desc id="{label[2]}">\S', figure)
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_figure_lies_beside_the_table_it_was_drawn_from(report: Path) -> None:
    drawings = sorted((report / "figures").glob("*.svg"))
    assert {"roc_cmmd", "transfer_drop", "differences", "learning"} <= {d.stem for d in drawings}
    for drawing in drawings:
        root = parsed(drawing)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert len(pd.read_csv(drawing.with_suffix(".csv"))) > 0


def test_each_table_on_the_page_has_its_file(report: Path, page: str) -> None:
    for key in re.findall(r"<code>(tables/\w+\.csv)</code>", page):
        assert (report / key).is_file()


def test_the_page_and_the_files_hold_the_same_cells(report: Path, page: str) -> None:
    for block in re.findall(r'<div class="block" id="table-.*?</table>', page, flags=re.DOTALL):
        key = re.search(r'id="table-(\w+)"', block)[1]  # type: ignore[index]
        head, *rows = csv.reader((report / "tables" / f"{key}.csv").open(encoding="utf-8"))
        body = block[block.index("<tbody>") :]
        printed = re.findall(r"<tr.*?</tr>", body, flags=re.DOTALL)
        assert len(printed) == len(rows), key
        for row, wanted in zip(printed, rows, strict=True):
            cells = re.findall(r"<(th|td)[^>]*>(?:<span>)?(.*?)</", row, flags=re.DOTALL)
            assert len(cells) == len(head)
            for (_, text), value in zip(cells, wanted, strict=True):
                assert html.unescape(text) in {value, typographic(value)}, key


def test_nothing_undefined_is_printed(page: str) -> None:
    visible = re.sub(
        r"<style>.*?</style>|<script>.*?</script>|<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL
    )
    assert not re.search(r"\b(nan|None|NaT|undefined|inf)\b", visible)
    drawn = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", page))
    assert not re.search(r"\bnan\b", drawn)


def test_without_a_gallery_nothing_speaks_of_one(page: str) -> None:
    assert "#gallery" not in page


def test_a_twin_is_called_synthetic_and_a_real_archive_is_not(page: str, hostile: str) -> None:
    assert "Synthetic data." in page
    assert page.count("(synthetic twin)") == 3
    assert "ynthetic" not in hostile[hostile.index("</style>") :]


def test_every_method_that_a_table_names_is_described(page: str) -> None:
    described = set(re.findall(r'<dt id="method-(\w+)">', page))
    wanted = {"obuchowski_rockette_nested", "stouffer_naive", "score_obuchowski", "correction_bh"}
    assert wanted <= described
    assert "patient_bootstrap" in described
    assert "No description of this method" not in page


def test_a_method_without_a_description_is_still_named(hostile: str) -> None:
    assert 'id="method-novel_interval"' in hostile
    assert "No description of this method" in hostile


def test_equal_inputs_give_equal_bytes(small: ReportInputs, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        build_report(small, tmp_path / folder)
    files = {p.relative_to(tmp_path / "first") for p in (tmp_path / "first").rglob("*.*")}
    assert len(files) > 20
    for name in files:
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes(), name


def test_a_new_build_leaves_no_file_of_an_earlier_one(small: ReportInputs, tmp_path: Path) -> None:
    build_report(small, tmp_path)
    folders = (tmp_path / "tables", tmp_path / "figures")
    first = {path for folder in folders for path in folder.iterdir()}
    for name in ("tables/gone.csv", "figures/roc_gone.svg", "figures/roc_gone.csv"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    build_report(replace(small, audits=()), tmp_path)
    second = {path for folder in folders for path in folder.iterdir()}
    assert first - second == {tmp_path / "tables" / f"audit.{form}" for form in ("csv", "tex")}
    assert second < first


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of a study of real archives whose every free text is an attack."""
    folder = tmp_path_factory.mktemp("hostile")
    recipe = replace(SMALL, synthetic=False)
    inputs = fabricate(folder / "in", recipe)
    source, *others = inputs.settings.datasets
    settings = inputs.settings.model_copy(
        update={
            "title": HOSTILE,
            "question": HOSTILE,
            "datasets": (source.model_copy(update={"title": HOSTILE, "licence": HOSTILE}), *others),
        }
    )
    metrics = pd.read_csv(inputs.metrics[0], dtype=str, keep_default_na=False)
    metrics.loc[metrics["metric"] == "seed_sd", "method"] = "novel_interval"
    metrics.loc[metrics["subgroup_value"] == "c", "subgroup_value"] = HOSTILE_NAME
    metrics.to_csv(inputs.metrics[0], index=False)
    excluded = pd.read_csv(inputs.exclusions[0], dtype=str)
    excluded["reason"] = HOSTILE
    excluded.to_csv(inputs.exclusions[0], index=False)
    page = build_report(replace(inputs, settings=settings), folder / "out")
    return page.read_text(encoding="utf-8")


def test_hostile_text_is_shown_and_never_run(hostile: str) -> None:
    assert hostile.replace(f"<script>\n{SCRIPT}</script>", "").count("<script") == 0
    assert hostile.count("&lt;script&gt;") >= 6
    assert "{{ 7 * 7 }}" in hostile


def test_hostile_values_are_escaped_in_drawings(hostile: str) -> None:
    outline = Outline()
    outline.feed(hostile)
    assert outline.unbalanced == []
    assert "b" not in {tag for tag, _ in outline.tags}
    assert "z" not in outline.ids
    drawings = re.findall(r"<svg.*?</svg>", hostile, flags=re.DOTALL)
    drawn = ["".join(ET.fromstring(drawing).itertext()) for drawing in drawings]  # noqa: S314
    assert sum("$x_1$" in text for text in drawn) == 2


def test_no_file_name_of_an_excluded_image_is_printed(page: str, report: Path) -> None:
    assert "P_00001" not in page
    assert "P_00001" not in (report / "reporting.json").read_text(encoding="utf-8")


def test_reporting_facts_are_strict_json_and_complete(report: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (report / "reporting.json").read_text(encoding="utf-8")
    facts = json.loads(text, parse_constant=refuse)
    assert facts["seeds"] == [0, 1]
    film = facts["domains"][0]
    assert (film["name"], film["unit"], film["leak"]) == ("cbis_ddsm", "image", None)
    assert film["split"]["method"] == "patient_stratified"
    subsets = {(row["domain"], row["subset"]) for row in facts["cohorts"]}
    assert {("cbis_ddsm", "train"), ("cbis_ddsm", "test"), ("cmmd", "target")} <= subsets
    transfer = next(family for family in facts["families"] if family["family"] == "transfer")
    assert transfer["family_size"] == 4
    assert transfer["headline_methods"] == ["obuchowski_rockette_nested"]
    assert facts["temperatures"][0]["fitted_on"] == "cbis_ddsm validation"
    thresholds = {entry["threshold_from"]: entry["values"] for entry in facts["thresholds"]}
    assert {value["log_odds"] for value in thresholds["own_validation"]} == {0.4}
    assert facts["software"]["torch"] == ["2.15.0"]
    assert len(facts["undefined"]["metrics"]) == 2
    assert sum(row["files"] for row in facts["exclusions"]) == 3


def test_numbers_without_a_value_lead_to_a_table_of_reasons(report: Path, page: str) -> None:
    cells = pd.read_csv(report / "tables" / "not_computed.csv")
    facts = json.loads((report / "reporting.json").read_text(encoding="utf-8"))
    total = sum(len(rows) for rows in facts["undefined"].values())
    assert cells["Numbers"].sum() == total > 0
    assert cells["Why"].notna().all()
    said = re.search(r"could not be computed[^<]*a table says why\. <a href=\"([^\"]*)\"", page)
    assert said is not None
    assert said[1] == "#table-not_computed"


def test_a_study_without_targets_comparisons_or_audit_still_has_a_report(tmp_path: Path) -> None:
    inputs = fabricate(tmp_path / "in", replace(SMALL, arms=("resnet",), targets=()))
    text = build_report(replace(inputs, audits=(), runs=()), tmp_path / "out").read_text("utf-8")
    for sentence in ("No arms were compared", "No audit"):
        assert sentence in text
    assert "Transfer</a>" not in text
    assert 'id="transfer"' not in text
    assert "resnet" in text


def test_one_seed_is_said_to_be_one(small: ReportInputs, tmp_path: Path) -> None:
    text = build_report(small, tmp_path).read_text(encoding="utf-8")
    assert "Every arm was trained with one seed." in text
    assert "One seed shows nothing of the spread" in text
    assert "1 seeds" not in text


def test_a_missing_caption_names_its_key(tmp_path: Path) -> None:
    for asset in filter(Path.is_file, ASSETS.iterdir()):
        (tmp_path / asset.name).write_bytes(asset.read_bytes())
    captions = yaml.safe_load((tmp_path / "captions.yaml").read_text(encoding="utf-8"))
    captions["tables"]["auc"] = {"titel": "AUC", "note": ""}
    (tmp_path / "captions.yaml").write_text(yaml.safe_dump(captions), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="titel"):
        load_assets(tmp_path)
    (tmp_path / "report.css").unlink()
    with pytest.raises(ConfigurationError, match=r"captions\.yaml|report\.css"):
        load_assets(tmp_path)


def test_contact_sheets_are_part_of_the_page(small: ReportInputs, tmp_path: Path) -> None:
    shown = ShownImage("0a1b2c", 0.4, 0.9, breast_found=False)
    record = tmp_path / "contact_sheet.json"
    write_record(SheetRecord("cmmd", "contact_sheet.jpg", 10, 20, 7, (shown,)), record)
    record.with_suffix(".jpg").write_bytes(b"picture")
    build_report(replace(small, sheets=(record,)), tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert 'src="data:image/jpeg;base64,cGljdHVyZQ=="' in text
    assert "1 of 7 images; no breast was found in 1 of them" in text
    write_record(SheetRecord("other", "contact_sheet.jpg", 10, 20, 7, ()), record)
    with pytest.raises(TableError, match="a contact sheet of other, not of this study"):
        build_report(replace(small, sheets=(record,)), tmp_path / "out")


def test_a_gallery_is_part_of_the_page_where_a_study_has_one(
    small: ReportInputs, tmp_path: Path
) -> None:
    picture = b"picture"
    case = ShownCase(
        *("cmmd", "miss", True, -1.25, 0.031, 2, "cmmd-miss-1.jpg"),
        *(hashlib.sha256(picture).hexdigest(), 10, 20, ""),
    )
    record = tmp_path / "gallery.json"
    write_gallery_record(GalleryRecord("resnet", ("cmmd",), (case,)), record)
    record.with_name(case.picture).write_bytes(picture)
    inputs = replace(small, galleries=(record,))
    text = build_report(inputs, tmp_path / "out").read_text(encoding="utf-8")
    assert 'src="data:image/jpeg;base64,cGljdHVyZQ=="' in text
    assert "ranked above 3% of the negative cases, logit \u22121.25" in text
    assert '<a href="#gallery">' in text
    assert "Heat maps over the most confident" in text
    record.with_name(case.picture).write_bytes(b"another")
    with pytest.raises(TableError, match="is not the picture that its record lists"):
        build_report(inputs, tmp_path / "other")


def test_what_made_the_report_is_on_the_page_and_in_its_facts(
    small: ReportInputs, tmp_path: Path
) -> None:
    made = Circumstances(
        made="2026-01-02 03:04 UTC",
        revision=Revision("abc123", clean=False),
        command="snakemake -c2",
        configuration_files=("config/demo.yaml",),
        mammoshift="0.1.0",
        python="3.11.9",
        versions={"numpy": "2.4"},
        machine="A processor, 2 cores",
        computed=(Computed("train_arm", 4, 61.0, ("B, 8 cores; GPU",), {"torch": ("2.15",)}),),
        configuration={"study": {"name": "cross_sensor"}},
    )
    page = build_report(replace(small, made=made), tmp_path).read_text(encoding="utf-8")
    for said in ("2026-01-02 03:04 UTC", "commit abc123", "not committed", "B, 8 cores; GPU"):
        assert said in page
    facts = json.loads((tmp_path / "reporting.json").read_text(encoding="utf-8"))
    assert facts["provenance"]["report"]["revision"]["commit"] == "abc123"
    assert facts["provenance"]["report"]["computed"][0]["jobs"] == 4
    assert {entry["dataset"] for entry in facts["provenance"]["data"]} == {"cbis_ddsm", "cmmd"}
    assert all(len(entry["sha256"]) == 64 for entry in facts["provenance"]["data"])
    written = yaml.safe_load((tmp_path / "configuration.yaml").read_text(encoding="utf-8"))
    assert written == {"study": {"name": "cross_sensor"}}


def test_an_arm_is_shown_with_its_name_beside_its_key(small: ReportInputs, tmp_path: Path) -> None:
    first, *others = small.settings.described_arms
    named = first.model_copy(update={"settings": {**first.settings, "label": "ResNet & more"}})
    settings = small.settings.model_copy(update={"described_arms": (named, *others)})
    page = build_report(replace(small, settings=settings), tmp_path).read_text(encoding="utf-8")
    assert "<span>resnet</span> <small>ResNet &amp; more</small></th>" in page
    assert "<span>vit</span></th>" in page
    assert pd.read_csv(tmp_path / "tables" / "auc.csv")["Arm"].tolist() == ["resnet", "vit"]


def test_facts_hold_accuracies_and_comparisons(report: Path) -> None:
    facts = json.loads((report / "reporting.json").read_text(encoding="utf-8"))
    means = {(r["arm"], r["domain"]): r for r in facts["auc"] if r["seed"] == "mean"}
    table = pd.read_csv(report / "tables" / "auc.csv", index_col="Arm")
    row = means["resnet", "cmmd"]
    assert table.loc["resnet", "cmmd"].startswith(f"{row['value']:.3f} ({row['ci_low']:.3f}-")
    assert {r["from_domain"] for r in facts["comparisons"]} == {"", "cbis_ddsm"}
    assert all(r["metric"] == "auc" and r["estimate"] is not None for r in facts["comparisons"])


def test_each_table_on_the_page_is_there_as_latex(report: Path, page: str) -> None:
    keys = re.findall(r'<div class="block" id="table-(\w+)"', page)
    assert {"checklist_tripod_ai", "checklist_claim_2024", "provenance_models"} <= set(keys)
    for key in keys:
        text = (report / "tables" / f"{key}.tex").read_text(encoding="utf-8")
        rows = len((report / "tables" / f"{key}.csv").read_text(encoding="utf-8").splitlines())
        assert text.count(r" \\") == rows


def test_figures_for_print_have_equal_bytes_and_tell_no_date(tmp_path: Path) -> None:
    with house_style():
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([1, 2])
        drawn = ReportFigure(
            "one", "roc", "", draw(figure, "one", "t", "d"), pd.DataFrame({"x": [1]})
        )
    paths = write_figure(drawn, tmp_path / "a", for_print=True)
    assert [path.suffix for path in paths] == [".svg", ".csv", ".png", ".pdf"]
    again = write_figure(drawn, tmp_path / "b", for_print=True)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert b"Date" not in paths[2].read_bytes() + paths[3].read_bytes()
    assert len(write_figure(drawn, tmp_path / "c")) == 2
