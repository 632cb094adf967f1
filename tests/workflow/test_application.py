"""Models of a finished study, applied to files: the cards, and the workflow's own logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniature import Project
from typer.testing import CliRunner

from mammoshift.commands.main import app
from mammoshift.contracts.run import Run
from mammoshift.models.card import read_card

pytestmark = pytest.mark.workflow


def test_every_model_has_a_card_that_says_what_the_tables_say(finished: Project) -> None:
    study = finished.folder / "results" / "small"
    tables = {
        name: pd.read_csv(study / "tables" / f"{name}.csv", keep_default_na=False)
        for name in ("metrics", "calibration")
    }
    folders = [path.parent for path in study.glob("*/seed-*/fold-*/model.json")]
    assert len(folders) == 4
    for folder in folders:
        card, run = read_card(folder), Run.of_path(folder)
        assert card is not None
        assert (card.arm, card.seed, card.fold) == (run.arm, run.seed, run.fold)
        assert card.lineage.steps[0].domain == card.readings[0].domain == "cbis_ddsm"
        assert (card.licence is not None) == (run.arm == "started")

        def value(table: str, metric: str, of_run: Run = run, **columns: str) -> float:
            rows = tables[table]
            wanted = {"domain": "cbis_ddsm", "subset": "test", "arm": of_run.arm, **columns}
            wanted |= {"seed": str(of_run.seed), "metric": metric, "subgroup": "all"}
            found = rows.loc[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1), "value"]
            return float(found.iloc[0] or "nan")

        for point in card.readings[0].operating_points:
            own = {"criterion": point.name, "threshold_from": "own_validation"}
            assert value("metrics", "threshold", **own) == pytest.approx(point.threshold, rel=1e-9)
        if card.readings[0].temperature is not None:
            fitted = value("calibration", "temperature", recalibration="temperature")
            assert card.readings[0].temperature == pytest.approx(fitted, rel=1e-9)
        assert card.measured[0].value == pytest.approx(value("metrics", "auc"), rel=1e-9)


@pytest.mark.parametrize(
    ("dataset", "facts"), [("cbis_ddsm", "record"), ("cbis_ddsm", "table"), ("mias", "record")]
)
def test_files_get_the_logits_of_the_workflow(
    finished: Project, tmp_path: Path, dataset: str, facts: str
) -> None:
    """The twin of CBIS-DDSM is DICOM, that of MIAS is stored mirrored."""
    results = finished.folder / "results"
    archives = results / "archives" if dataset == "cbis_ddsm" else finished.folder / "archives"
    root = archives / dataset
    listed = results / "datasets" / dataset / "files.parquet"
    options = {
        "record": ["--dataset", f"{finished.folder}/config/datasets/small.yaml:{dataset}"],
        "table": ["--facts", str(listed)],
    }[facts]
    table = pd.read_parquet(listed).set_index("image_id")["path"]
    predictions = pd.read_parquet(results / "small" / "plain" / dataset / "predictions.parquet")
    logits = predictions.groupby("case_id")["logit"].mean()
    paths = tmp_path / "list.txt"
    paths.write_text("\n".join(str(root / table[case]) for case in logits.index))
    out = tmp_path / "out.json"
    model = str(results / "small" / "plain")
    command = ["predict", model, f"@{paths}", *options, "--root", str(root), "--json", str(out)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = [row["logit"] for row in json.loads(out.read_text())]
    assert len(found) > 20
    assert np.std(logits) > 1e-3
    np.testing.assert_allclose(found, logits, rtol=0, atol=1e-5)
