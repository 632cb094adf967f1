"""The audits before training and before scoring: nobody is judged on what a model has seen.

A patient or an image (equal pixels) on both sides is a leak and fails the run, unless the split
declares it. Pictures that merely look alike, and images whose patient nobody knows, are listed
for a person to look at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.cases.collect import Counted, Result
from mammoshift.cases.findings import AuditReport, Check, Outcome
from mammoshift.cases.near_duplicates import find_near_duplicates, fine_hash_words
from mammoshift.cases.pool import HASHES, Codes, Pool, index_of_items, make_pool
from mammoshift.contracts.cases import ALL_SUBSETS, JUDGED_SUBSETS, UNUSED
from mammoshift.contracts.lineage import Lineage
from mammoshift.pixelstore.index import LEAST_FILLED_SHARE

Lineages = Mapping[tuple[str, int], Lineage]
"""The lineage of each arm's model in each of the arm's folds."""

Runs = Mapping[tuple[Lineage, tuple[str, ...]], str]
"""The names of the runs of each lineage that are judged on the same domains."""

OWN_TABLE = "csv"
"""The adapter of tables of users' own."""

_UNUSED_CODE = ALL_SUBSETS.index(UNUSED)


def audit_domain(
    name: str,
    cases: pd.DataFrame,
    indexes: Mapping[str, pd.DataFrame],
    leak: str | None = None,
    contents: Mapping[str, pd.Series[str]] | None = None,
) -> AuditReport:
    """Check the split of one domain against itself and the pixels, before training.

    Parameters
    ----------
    name, cases
        The domain and its table of cases.
    indexes
        Index tables of the pixel store, by dataset.
    leak
        What the domain's split lets pass on purpose; the same findings are then `declared`.
    contents
        Key of the content of each image's raw file by `image_id`, by dataset: equal files are
        told whatever they were preprocessed to.
    """
    pool = make_pool({name: cases}, indexes, contents=contents)
    outcome: Outcome = "declared" if leak else "leak"
    return AuditReport.of(
        [
            _listed_once(pool),
            _in_one_subset("patient_in_one_subset", pool, pool.patient, outcome),
            _in_one_subset("pixels_in_one_subset", pool, pool.pixels, outcome),
            _in_one_subset("file_in_one_subset", pool, pool.file, outcome),
            _patients_unknown(pool),
        ]
    )


def audit_study(
    lineages: Lineages,
    cases: Mapping[str, pd.DataFrame],
    indexes: Mapping[str, pd.DataFrame],
    *,
    same_patients: Sequence[Collection[str]] = (),
    splits: Mapping[str, str] | None = None,
    adapters: Mapping[str, str] | None = None,
    leaks: Mapping[str, str] | None = None,
    judged_on: Mapping[str, Collection[str]] | None = None,
    contents: Mapping[str, pd.Series[str]] | None = None,
    maximum_pairs: int = 100_000,
) -> AuditReport:
    """Check, before scoring, that no model is judged on what it or an ancestor has seen.

    Parameters
    ----------
    lineages
        What each arm's models learned from, by arm and fold.
    cases
        Tables of cases of all domains, by name.
    indexes
        Index tables of the pixel store, by dataset.
    same_patients
        Groups of domains that are declared to hold the same patients.
    splits
        For each domain that takes the split of another, that one.
    adapters
        The adapter of each dataset, for weights from elsewhere and for ids of users' own tables.
    leaks
        Domains whose split lets leaks pass on purpose, with its name; findings are `declared`.
    judged_on
        The domains that each arm is judged on; all when None.
    contents
        Key of the content of each image's raw file by `image_id`, by dataset.
    maximum_pairs
        Near-duplicates beyond this number are not listed, and the summary says so.

    Raises
    ------
    TableError
        If a lineage names a fold that its domain does not have.
    """
    pool = make_pool(cases, indexes, same_patients, splits, contents)
    runs = _runs_of(lineages, list(cases), judged_on)
    return AuditReport.of(
        [
            _learned_from("patient_learned_from", pool, pool.patient, runs, leaks or {}),
            _learned_from("pixels_learned_from", pool, pool.pixels, runs, leaks or {}),
            _learned_from("file_learned_from", pool, pool.file, runs, leaks or {}),
            _third_party(pool, runs, adapters or {}),
            _under_two_names(pool),
            _ids_in_two_datasets(pool, adapters or {}),
            _near_duplicates(pool, indexes, maximum_pairs),
            _patients_unknown(pool),
            _of_one_grey(pool, indexes),
        ]
    )


def learned_rows(pool: Pool, lineage: Lineage) -> NDArray[np.bool_]:
    """Return which cases a model, or an ancestor of it, was fitted or chosen on."""
    learned = np.zeros(len(pool.table), bool)
    for step in lineage.steps:
        learned[pool.rows[step.domain]] |= pool.placed(step.domain, step.fold, step.subsets)
    return learned


def judged_rows(pool: Pool, lineage: Lineage, domain: str) -> NDArray[np.bool_]:
    """Return which cases of a domain a model is judged on.

    On a domain of its lineage, or with the split of one, those of its own fold, elsewhere those
    of any fold.
    """
    own = {step.fold for step in lineage.steps if pool.share_split(step.domain, domain)}
    folds = sorted(own) if own else range(pool.folds(domain))
    return np.any([pool.placed(domain, fold, JUDGED_SUBSETS) for fold in folds], axis=0)


def _runs_of(
    lineages: Lineages, domains: list[str], judged_on: Mapping[str, Collection[str]] | None
) -> Runs:
    """Return the distinct lineages and judged domains, each with the runs that have them."""
    runs: dict[tuple[Lineage, tuple[str, ...]], list[str]] = {}
    for (arm, fold), lineage in lineages.items():
        wanted = domains if judged_on is None else judged_on.get(arm, ())
        judged = tuple(name for name in domains if name in wanted)
        runs.setdefault((lineage, judged), []).append(f"{arm} fold {fold}")
    return {key: ", ".join(names) for key, names in runs.items()}


def _listed_once(pool: Pool) -> Result:
    found = Counted("case_listed_once", pool)
    for names in (pool.table["case_id"], pd.Series(pool.item)):
        repeated = np.flatnonzero(names.duplicated())
        _, first, codes = np.unique(names.to_numpy(), return_index=True, return_inverse=True)
        found.add("leak", first[codes[repeated]], repeated)
    return found.result(len(pool.table))


def _in_one_subset(check: Check, pool: Pool, codes: Codes, outcome: Outcome) -> Result:
    """Rows with equal codes must be in one subset of each fold; `unused` ones do not matter."""
    found = Counted(check, pool)
    (subsets,) = pool.subsets.values()
    for fold in range(subsets.shape[1]):
        placed = subsets[:, fold].astype(np.int64)
        rows = np.flatnonzero((codes >= 0) & (placed != _UNUSED_CODE))
        first = _first_rows(codes, rows)
        different = rows[placed[rows] != placed[first[codes[rows]]]]
        pairs = codes[different] * len(ALL_SUBSETS) + placed[different]
        _, one_each = np.unique(pairs, return_index=True)
        different = different[np.sort(one_each)]
        found.add(outcome, first[codes[different]], different, fold)
        if fold == 0 and check == "pixels_in_one_subset":
            same = rows[(placed[rows] == placed[first[codes[rows]]]) & (first[codes[rows]] != rows)]
            found.add("listed", first[codes[same]], same, fold)
    return found.result(len(codes), _without_pixels(pool, codes))


def _learned_from(
    check: Check,
    pool: Pool,
    codes: Codes,
    runs: Runs,
    leaks: Mapping[str, str],
) -> Result:
    found = Counted(check, pool)
    examined = 0
    for (lineage, judged_domains), names in runs.items():
        learned = np.flatnonzero(learned_rows(pool, lineage) & (codes >= 0))
        first = _first_rows(codes, learned)
        for domain in judged_domains:
            start = pool.rows[domain].start
            judged = start + np.flatnonzero(judged_rows(pool, lineage, domain))
            examined += len(judged)
            judged = judged[codes[judged] >= 0]
            hits = judged[first[codes[judged]] >= 0]
            _, one_each = np.unique(codes[hits], return_index=True)
            hits = hits[np.sort(one_each)]
            outcome: Outcome = "declared" if domain in leaks else "leak"
            found.add(outcome, hits, first[codes[hits]], -1, names)
    return found.result(examined, _without_pixels(pool, codes))


def _third_party(
    pool: Pool,
    runs: Runs,
    adapters: Mapping[str, str],
) -> Result:
    found = Counted("third_party_weights", pool)
    examined = 0
    for (lineage, judged_domains), names in runs.items():
        for domain in judged_domains if lineage.third_party else ():
            rows = pool.rows[domain]
            judged = rows.start + np.flatnonzero(judged_rows(pool, lineage, domain))
            examined += len(judged)
            datasets = pool.table["dataset"].iloc[judged]
            seen = datasets.map(dict(adapters)).isin(lineage.third_party).to_numpy()
            # One case stands for all of its dataset.
            one_each = ~datasets[seen].duplicated().to_numpy()
            found.add("leak", judged[seen][one_each], None, -1, names)
    return found.result(examined)


def _under_two_names(pool: Pool) -> Result:
    """List equal pixels of two domains that do not declare to hold the same patients."""
    found = Counted("pixels_under_two_names", pool)
    rows = np.flatnonzero(pool.pixels >= 0)
    first = _first_rows(pool.pixels, rows)
    partner = first[pool.pixels[rows]]
    differ = (pool.group[partner] != pool.group[rows]) & (pool.item[partner] != pool.item[rows])
    found.add("listed", partner[differ], rows[differ])
    return found.result(len(rows))


def _ids_in_two_datasets(pool: Pool, adapters: Mapping[str, str]) -> Result:
    """List ids that several tables of users' own hold, and that count as different patients.

    Ids of public archives are numbers of their own, whose being equal says nothing.
    """
    found = Counted("ids_in_two_datasets", pool)
    own = pool.table["dataset"].map(dict(adapters)).eq(OWN_TABLE).to_numpy()
    rows = np.flatnonzero(own & (pool.patient_id >= 0))
    partner = _first_rows(pool.patient_id, rows)[pool.patient_id[rows]]
    differ = pool.patient[partner] != pool.patient[rows]
    _, one_each = np.unique(pool.patient[rows[differ]], return_index=True)
    found.add("listed", partner[differ][one_each], rows[differ][one_each])
    note = "same_patients_as declares those who are the same" if len(one_each) else ""
    return found.result(len(rows), note)


def _near_duplicates(pool: Pool, indexes: Mapping[str, pd.DataFrame], maximum_pairs: int) -> Result:
    """List pictures that look alike in different subsets or domains."""
    found = Counted("near_duplicates", pool)
    hashes, rows = _hashes_of_items(pool, indexes)
    coarse = hashes["perceptual_hash"].to_numpy(dtype=np.uint64)
    fine = fine_hash_words(hashes["fine_hash"].tolist())
    pairs = find_near_duplicates(coarse, fine, maximum_pairs=maximum_pairs)
    one, two = rows[pairs.first], rows[pairs.second]
    place = _places(pool)
    differ = (
        (pool.patient[one] != pool.patient[two])
        & (pool.pixels[one] != pool.pixels[two])
        & (place[one] != place[two])
        & ((pool.group[one] != pool.group[two]) | _same_domain(pool, one, two))
    )
    for first, second, distance in zip(
        one[differ].tolist(), two[differ].tolist(), pairs.distance[differ].tolist(), strict=True
    ):
        found.add_pair("listed", first, second, distance)
    return found.result(len(rows), complete=pairs.complete)


def _same_domain(pool: Pool, one: Codes, two: Codes) -> NDArray[np.bool_]:
    domain = pool.table["domain"].to_numpy()
    return domain[one] == domain[two]


def _hashes_of_items(pool: Pool, indexes: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, Codes]:
    """Return the hashes of each stored item once, and a row of the pool that it is in."""
    _, rows = np.unique(pool.item, return_index=True)
    rows = rows[pool.pixels[rows] >= 0]
    table = pool.table.iloc[rows]
    parts = [
        index_of_items(indexes[str(dataset)])
        .loc[items["item_id"], list(HASHES[1:])]
        .set_index(items.index)
        for dataset, items in table.groupby("dataset", sort=False)
    ]
    if not parts:
        return pd.DataFrame(columns=list(HASHES[1:])), rows
    return pd.concat(parts).loc[table.index], rows


def _places(pool: Pool) -> Codes:
    """Return a number for each row that is equal for items in the same subsets of one domain."""
    places = np.zeros(len(pool.table), np.int64)
    used = 0
    for domain, rows in pool.rows.items():
        distinct, codes = np.unique(pool.subsets[domain], axis=0, return_inverse=True)
        places[rows] = codes.ravel() + used
        used += len(distinct)
    return places


def _patients_unknown(pool: Pool) -> Result:
    found = Counted("patient_unknown", pool)
    unknown = np.flatnonzero(~pool.known)
    _, one_each = np.unique(pool.item[unknown], return_index=True)
    found.add("listed", unknown[np.sort(one_each)], None)
    return found.result(len(pool.table), "; ".join(_coverage(pool)))


def _of_one_grey(pool: Pool, indexes: Mapping[str, pd.DataFrame]) -> Result:
    """List images that a network sees nearly as one grey; the patches of an image together."""
    found = Counted("of_one_grey", pool)
    filled = np.full(len(pool.table), np.nan)
    for dataset, index in indexes.items():
        if "filled_share" not in index:
            continue
        best = index.groupby("image_id")["filled_share"].transform("max")
        of_item = best.set_axis(index["item_id"])
        own = (pool.table["dataset"] == dataset).to_numpy()
        filled[own] = pool.table.loc[own, "item_id"].map(of_item)
    grey = np.flatnonzero(filled < LEAST_FILLED_SHARE)
    _, one_each = np.unique(pool.item[grey], return_index=True)
    found.add("listed", grey[np.sort(one_each)], None)
    note = "another tone may suit their dataset" if len(grey) else ""
    return found.result(int(np.isfinite(filled).sum()), note)


def _coverage(pool: Pool) -> Iterator[str]:
    """Yield, for datasets with unknown patients, how many cases were compared by what."""
    table = pool.table.assign(known=pool.known, pixels=pool.pixels >= 0)
    for dataset, rows in table.groupby("dataset", sort=False):
        if not rows["known"].all():
            yield (
                f"{dataset}: {rows['known'].sum()} of {len(rows)} cases compared by patient, "
                f"{rows['pixels'].sum()} by pixels"
            )


def _without_pixels(pool: Pool, codes: Codes) -> str:
    missing = int((codes < 0).sum()) if codes is pool.pixels else 0
    return f"{missing} cases have no stored pixels to compare" if missing else ""


def _first_rows(codes: Codes, rows: Codes) -> Codes:
    """Return, for each code, the first of `rows` that has it; -1 for none."""
    first = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    first[codes[rows][::-1]] = rows[::-1]
    return first
