"""Tables of cases for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mammoshift.contracts.cases import CASES_SCHEMA


def cases_of(table: pd.DataFrame, domain: str = "d", dataset: str = "d") -> pd.DataFrame:
    """Fill up a table that has `image_id` and `label` to cases of whole images."""
    fill: dict[str, object] = dict.fromkeys(CASES_SCHEMA.names)
    fill.update(domain=domain, dataset=dataset)
    full = table.assign(**{k: v for k, v in fill.items() if k not in table.columns})
    full["item_id"] = full["item_id"].fillna(full["image_id"]).astype("str")
    full["case_id"] = full["case_id"].fillna(full["item_id"]).astype("str")
    full["unit_id"] = full["unit_id"].fillna(full["case_id"]).astype("str")
    full["unit_label"] = full["unit_label"].fillna(full["label"]).astype("int8")
    return full[CASES_SCHEMA.names].sort_values("case_id", ignore_index=True)


def random_cases(patients: int, seed: int = 0, prefix: str = "p") -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        label = int(generator.random() < 0.35)
        density = generator.choice(["a", "b", "c", "d", None], p=[0.1, 0.4, 0.3, 0.1, 0.1])
        rows.extend(
            (f"{prefix}{patient}_{image}", f"{prefix}{patient}", label, density)
            for image in range(generator.integers(1, 5))
        )
    table = pd.DataFrame(rows, columns=["image_id", "patient_id", "label", "density"])
    return cases_of(table)


def cbis_ddsm_cases(shared_data: Path) -> pd.DataFrame:
    """The films of CBIS-DDSM as its four tables describe them."""
    tables = []
    for path in sorted((shared_data / "metadata" / "cbis-ddsm").glob("*_case_description_*.csv")):
        table = pd.read_csv(path, dtype=str).rename(columns=lambda name: name.replace(" ", "_"))
        tables.append(table.assign(part="train" if "train" in path.name else "test"))
    lesions = pd.concat(tables, ignore_index=True)
    names = ["patient_id", "left_or_right_breast", "image_view"]
    lesions["image_id"] = lesions[names].agg("_".join, axis=1)
    lesions["label"] = (lesions["pathology"] == "MALIGNANT").astype("int8")
    lesions["density"] = lesions["breast_density"].map({"1": "a", "2": "b", "3": "c", "4": "d"})
    films = lesions.groupby("image_id").agg(
        {"patient_id": "first", "label": "max", "density": "max", "part": ["min", "max"]}
    )
    films.columns = ["patient_id", "label", "density", "first", "last"]
    official = films["first"].where(films["first"] == films["last"], "both")
    return cases_of(films.assign(official_split=official).reset_index())
