"""Reading and aligning the predictions of a study; what a table holds is said by its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mammoshift.cases.identity import archive_patients
from mammoshift.configuration.judged import JudgedDomain, JudgedStudy
from mammoshift.contracts.cases import VALIDATION, patient_keys, read_cases
from mammoshift.contracts.predictions import read_predictions
from mammoshift.errors import TableError
from mammoshift.evaluation.grid import Cell, Grid

_DESCRIBED = (
    "patient_id",
    "laterality",
    "view",
    "density",
    "birads",
    "age",
    "official_split",
    "manufacturer",
    "detector",
    "pixel_spacing_mm",
    "site",
)
"""Columns that a unit has where its cases agree on them; its lesions are those of all of them."""

_NOT_AGGREGATED = ("image", "patch")
_Key = tuple[str, ...]
NamedTable = tuple[Path, pd.DataFrame]
"""A table and the path that messages name it by."""


@dataclass(frozen=True)
class _Scored:
    """The logits of one arm on one domain.

    `logits` has a table for each subset, with a row for each case and a column for each seed, the
    folds averaged.
    """

    arm: str
    path: Path
    logits: Mapping[str, pd.DataFrame]


def load_grid(study: JudgedStudy, cases: Sequence[Path], predictions: Sequence[Path]) -> Grid:
    """Read the cases of all domains and the predictions of all arms, and align them.

    The order of the paths does not matter: a table of cases names its domain, a prediction table
    its arm and domain. Logits of several folds for one case and seed are averaged, and then those
    of the cases of a judged unit combined as its domain says.

    Parameters
    ----------
    study
        The domains, arms and seeds.
    cases
        One table for each domain that arms are judged on.
    predictions
        One table for each arm and each domain that it is judged on.

    Raises
    ------
    TableError
        If a table is missing, given twice or of another study, a seed is missing or unknown, or
        the tables of one domain disagree on its cases.
    """
    return aligned_grid(
        study,
        [(path, read_cases(path)) for path in cases],
        [(path, read_predictions(path)) for path in predictions],
    )


def aligned_grid(
    study: JudgedStudy, cases: Sequence[NamedTable], predictions: Sequence[NamedTable]
) -> Grid:
    """Align tables that are already read; see `load_grid`.

    Each comes with the path that messages name it by.
    """
    described = _by_name(cases, ("domain",))
    scored = _by_name(predictions, ("arm", "domain"))
    wanted = {(arm.name, domain) for arm in study.arms for domain in arm.judged_on}
    judged = {(domain,) for _, domain in wanted}
    known = {(domain.name,) for domain in study.domains}
    _check_complete("table of cases", described, judged, known | judged, study.study)
    _check_complete("prediction table", scored, wanted, wanted, study.study)
    cells: dict[tuple[str, str], Cell] = {}
    for domain in study.domains:
        if (domain.name,) not in judged:
            continue
        path, table = described[domain.name,]
        own = {arm.name for arm in study.arms if arm.own_domain == domain.name}
        arms = [
            _scored(
                arm.name,
                *scored[arm.name, domain.name],
                table,
                path,
                study.seeds,
                arm.name in own,
            )
            for arm in study.arms
            if domain.name in arm.judged_on
        ]
        for subset in (VALIDATION, *domain.subsets):
            chosen = [arm for arm in arms if subset != VALIDATION or arm.arm in own]
            cell = _cell(domain, subset, table, chosen, study.seeds)
            if cell is not None:
                cells[domain.name, subset] = cell
    return Grid(study, cells)


def _by_name(tables: Sequence[NamedTable], columns: Sequence[str]) -> dict[_Key, NamedTable]:
    """Return tables by the one value that each of some columns holds."""
    named: dict[_Key, NamedTable] = {}
    for path, table in tables:
        names = table[list(columns)].drop_duplicates()
        if len(names) != 1:
            raise TableError(
                f"{path}: one {' and '.join(columns)} is expected, {len(names)} are in it; "
                "delete the table and make it again"
            )
        key = tuple(str(value) for value in names.iloc[0])
        if key in named:
            raise TableError(
                f"{path}: {_named(key)} is already in {named[key][0]}; delete both and make them "
                "again"
            )
        named[key] = path, table
    return named


def _check_complete(
    kind: str,
    found: Mapping[_Key, NamedTable],
    wanted: set[_Key],
    known: set[_Key],
    study: str,
) -> None:
    for key in found.keys() - known:
        raise TableError(
            f"{found[key][0]}: this {kind} of {_named(key)} is not part of the study {study!r}; "
            "give the tables of this study alone"
        )
    missing = sorted(wanted - found.keys())
    if missing:
        raise TableError(f"study {study!r}: there is no {kind} of {_named(missing[0])}; make it")


def _named(key: _Key) -> str:
    *arm, domain = key
    return " on ".join([*(f"arm {name!r}" for name in arm), f"domain {domain!r}"])


def _scored(
    arm: str,
    path: Path,
    table: pd.DataFrame,
    cases: pd.DataFrame,
    cases_path: Path,
    seeds: Sequence[int],
    own: bool,
) -> _Scored:
    """Return an arm's logits, every seed and case checked, averaged over the folds."""
    found = set(table["seed"])
    for problem, wrong in (("lacks", set(seeds) - found), ("has the unknown", found - set(seeds))):
        if wrong:
            raise TableError(f"{path}: arm {arm!r} {problem} seed {min(wrong)}; score it again")
    repeated = table["case_id"][table.duplicated(["seed", "fold", "case_id"])]
    if len(repeated):
        raise TableError(f"{path}: case {repeated.iloc[0]} occurs twice in a run; score it again")
    _check_subsets(table, path, cases, cases_path, own)
    logits = {}
    for subset, rows in table.groupby("subset"):
        of_case = rows.pivot_table(
            index="case_id", columns="seed", values="logit", aggfunc=["mean", "count"]
        )
        folds = of_case["count"]
        counts = folds.to_numpy()
        uneven = folds.index[(counts != counts[:, :1]).any(axis=1)]
        if len(uneven):
            raise TableError(
                f"{path}: case {uneven[0]}: not every seed has it in the same number of folds; "
                "delete the table and score it again"
            )
        logits[str(subset)] = of_case["mean"][list(seeds)]
    return _Scored(arm, path, logits)


def _check_subsets(
    table: pd.DataFrame, path: Path, cases: pd.DataFrame, cases_path: Path, own: bool
) -> None:
    """Check that every scored case, or unit, has its subset: in its fold on the own domain.

    A model was not trained on any case of another domain, so that all folds of that are alike.
    """
    by_fold = own and len(cases["subsets"].iloc[0]) > 1
    allowed = {
        (name, subset, fold if by_fold else 0)
        for column in ("case_id", "unit_id")
        for name, subsets in zip(cases[column], cases["subsets"], strict=True)
        for fold, subset in enumerate(subsets)
    }
    folds = table["fold"] if by_fold else 0
    scored = table[["case_id", "subset"]].assign(fold=folds).drop_duplicates()
    for case, subset, fold in scored.itertuples(index=False):
        if (case, subset, fold) in allowed:
            continue
        known = {*cases["case_id"], *cases["unit_id"]}
        says = "has it in another subset" if case in known else "has no such case"
        where = f"subset {subset}, fold {fold}" if by_fold else f"subset {subset}"
        raise TableError(
            f"{path}: case {case}, {where}: {cases_path} {says}; delete the predictions and "
            "score again"
        )


def _cell(
    domain: JudgedDomain,
    subset: str,
    cases: pd.DataFrame,
    arms: Sequence[_Scored],
    seeds: Sequence[int],
) -> Cell | None:
    """Return the aligned predictions for one subset, None where no arm has a case in it."""
    present = [arm for arm in arms if subset in arm.logits]
    if not present:
        if subset != domain.subsets[0] or not arms:
            return None
        raise TableError(
            f"{arms[0].path}: domain {domain.name!r} is judged on its subset {subset}, of which "
            "no case is scored; score it again"
        )
    absent = [arm for arm in arms if arm not in present]
    if absent and subset != VALIDATION:
        raise TableError(
            f"{absent[0].path}: has no case of the subset {subset}, unlike {present[0].path}; "
            "delete both and score again"
        )
    units = _units(domain, cases)
    scored = [arm.logits[subset] for arm in present]
    _check_same_cases(scored, [arm.path for arm in present], set(cases["case_id"]), units)
    described = _described(domain, subset, cases, scored, units)
    order = described["case_id"]
    logits = []
    for table in scored:
        owner = units.loc[table.index].to_numpy()
        combined = table.groupby(owner).agg(domain.combine)
        logits.append(combined.loc[order].to_numpy(dtype=np.float64).T)
    names = tuple(arm.arm for arm in present)
    return Cell(
        domain.name,
        subset,
        described,
        np.stack(logits),
        names,
        tuple(seeds),
        domain.leak,
        domain.same_patients_as or (),
        domain.shares_datasets_with or (),
    )


def _units(domain: JudgedDomain, cases: pd.DataFrame) -> pd.Series[str]:
    """Return the unit of each case and of each unit, by its id."""
    if domain.unit in _NOT_AGGREGATED:
        return pd.Series(cases["case_id"].to_numpy(), index=cases["case_id"])
    of_cases = pd.Series(cases["unit_id"].to_numpy(), index=cases["case_id"])
    names = cases["unit_id"].drop_duplicates()
    of_units = pd.Series(names.to_numpy(), index=names)
    return pd.concat([of_cases, of_units[~of_units.index.isin(of_cases.index)]])


def _check_same_cases(
    scored: Sequence[pd.DataFrame],
    paths: Sequence[Path],
    case_ids: set[str],
    units: pd.Series[str],
) -> None:
    """Check that arms that score cases have the same ones, and all arms the same units."""
    first: dict[bool, tuple[Path, set[str]]] = {}
    whole: tuple[Path, set[str]] | None = None
    for table, path in zip(scored, paths, strict=True):
        own = set(table.index)
        level = own <= case_ids
        first.setdefault(level, (path, own))
        _check_equal(own, path, *first[level])
        judged = set(units.loc[table.index])
        whole = whole or (path, judged)
        _check_equal(judged, path, *whole)


def _check_equal(own: set[str], path: Path, other: Path, others: set[str]) -> None:
    if own != others:
        raise TableError(
            f"{path}: holds other cases than {other}: {min(own ^ others)} is in one of them alone; "
            "delete both and score again"
        )


def _described(
    domain: JudgedDomain,
    subset: str,
    cases: pd.DataFrame,
    scored: Sequence[pd.DataFrame],
    units: pd.Series[str],
) -> pd.DataFrame:
    """Return one row for each judged unit of a subset, with what its cases agree on."""
    ids = set().union(*(table.index for table in scored))
    rows = cases[cases["case_id"].isin(ids)]
    judged = set(units.loc[list(ids)])
    if set(units.loc[rows["case_id"]]) != judged:
        inside = np.array([subset in own for own in cases["subsets"]], dtype=bool)
        rows = cases[inside & cases["unit_id"].isin(judged)]
    rows = rows.assign(cluster=_clusters(domain, rows), label=rows["unit_label"])
    columns = ["case_id", "cluster", "label", *_DESCRIBED, "lesion_types"]
    if domain.unit in _NOT_AGGREGATED:
        return rows[columns].sort_values("case_id", kind="stable").reset_index(drop=True)
    groups = rows.drop(columns="case_id").rename(columns={"unit_id": "case_id"})
    groups = groups.groupby("case_id", sort=True)
    mixed = groups["label"].min() < groups["label"].max()
    if mixed.any():
        raise TableError(
            f"domain {domain.name!r}: unit {mixed.idxmax()} has two values of unit_label; make the "
            "table of cases again"
        )
    same = ["cluster", *_DESCRIBED]
    smallest, largest = groups[same].min(), groups[same].max()
    combined = smallest.where(smallest == largest)
    combined["cluster"] = combined["cluster"].fillna("image " + combined.index.to_series())
    combined["label"] = groups["label"].first()
    combined["lesion_types"] = groups["lesion_types"].agg(_all_types)
    return combined.reset_index()[columns]


def _clusters(domain: JudgedDomain, cases: pd.DataFrame) -> pd.Series[str]:
    """Return what identifies each case's patient, in all domains that hold the same patients.

    Of those the names are the archives' own, as the audits compare them; an image of unknown
    patient is told from one of another dataset.
    """
    if domain.same_patients_as is None and domain.shares_datasets_with is None:
        return patient_keys(cases)
    patients = archive_patients(cases)
    if domain.same_patients_as is None:
        # Nothing is declared of other archives, whose patients may have the same names.
        patients = cases["dataset"].astype("string") + "/" + patients
    images = "image " + cases["dataset"].astype("string") + "/" + cases["image_id"].astype("string")
    return ("patient " + patients).where(patients.notna(), images).astype("str")


def _all_types(texts: pd.Series) -> str | None:
    """Return the lesion types of several images as one text, None where no image has one."""
    types = {part for text in texts.dropna() for part in text.split("+")}
    return "+".join(sorted(types)) or None
