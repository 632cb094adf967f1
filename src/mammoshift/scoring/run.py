"""From an arm's models to its prediction table on one domain: what the rule `score_arm` does.

The logits of each run are kept under a key of its model and of the pixels that it scored, so
that a new seed computes its own runs alone, and a changed label none.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.contracts.cases import (
    JUDGED_SUBSETS,
    OUT_OF_FOLD,
    TARGET,
    TEST,
    VALIDATION,
    read_cases,
    subset_of,
)
from mammoshift.contracts.features import SCORES_SCHEMA, write_scores
from mammoshift.contracts.fitted import RECORD_NAME, WEIGHTS_NAME, check_weights
from mammoshift.contracts.predictions import PREDICTION_SCHEMA, write_predictions
from mammoshift.contracts.run import Run
from mammoshift.errors import TableError
from mammoshift.files import atomic_path
from mammoshift.kinds._inputs import CaseInputs, InputFiles
from mammoshift.kinds._protocol import ScoreRequest, kind_of
from mammoshift.provenance.reuse import Store, result_key
from mammoshift.provenance.versions import made_here

LOGITS = "logits.npy"
SCORED_ON_OWN = (VALIDATION, *JUDGED_SUBSETS)


@dataclass(frozen=True)
class ScoringJob:
    """The files and settings of scoring one domain with all models of one arm.

    Attributes
    ----------
    settings
        The leaves `arm`, `kind`, `domain`, `own` (whether the arm was trained on the domain) and
        `own_fold` (whether it was, or on one with the same split: each run then scores what its
        own fold leaves out).
    code
        Fingerprint of the code.
    models
        Run -> folder of the model that it applies.
    cases
        Table of the domain.
    inputs
        What is read of the cases' images.
    store
        Where logits are kept; None for a folder `kept` beside the table.
    """

    settings: Mapping[str, Any]
    code: Mapping[str, str]
    models: Mapping[Run, Path]
    cases: Path
    inputs: InputFiles
    store: Store | None = None


def run_scoring(job: ScoringJob, output: Path) -> None:
    """Write the prediction table; runs whose logits are still valid are restored.

    Raises
    ------
    TableError
        If no case of the domain could be decoded.
    """
    table, inputs = _decoded(job)
    wanted = {run: _cases_of(job, run, table) for run in job.models}
    logits = _logits(job, wanted, inputs, output)
    write_predictions(_table(job, wanted, logits), output)


def run_lending(job: ScoringJob, output: Path) -> None:
    """Write the scores of a domain's cases for another arm to learn from, folds averaged.

    With the setting `whole` they are those of all cases, else of those that are judged.

    Raises
    ------
    TableError
        If no case of the domain could be decoded.
    """
    table, inputs = _decoded(job)
    wanted = {
        run: table if job.settings["whole"] else _cases_of(job, run, table) for run in job.models
    }
    logits = _logits(job, wanted, inputs, output)
    parts = [
        pd.DataFrame({"seed": run.seed, "case_id": cases["case_id"], "logit": logits[run]})
        for run, cases in wanted.items()
    ]
    means = pd.concat(parts).groupby(["seed", "case_id"], as_index=False)["logit"].mean()
    arm, domain = job.settings["arm"], job.settings["domain"]
    write_scores(means.assign(arm=arm, domain=domain)[SCORES_SCHEMA.names], output)


def _logits(
    job: ScoringJob, wanted: Mapping[Run, pd.DataFrame], inputs: CaseInputs, output: Path
) -> dict[Run, NDArray[np.float64]]:
    """Return the logits of each run for its cases, restored where they are still valid."""
    store = job.store or Store(output.parent / "kept")
    logits: dict[Run, NDArray[np.float64]] = {}
    missing: dict[tuple[str, ...], list[Run]] = {}
    keys = {run: _key(job, run, cases, inputs) for run, cases in wanted.items()}
    for run, cases in wanted.items():
        found = _restored(store, keys[run], output)
        if found is not None:
            print(f"{job.settings['domain']}, {run}: restored")
            logits[run] = found
        else:
            missing.setdefault(tuple(cases["case_id"]), []).append(run)
    for runs in missing.values():
        cases = wanted[runs[0]]
        began = time.monotonic()
        scored = _scored(job, runs, cases, inputs)
        made = made_here((time.monotonic() - began) / len(runs))
        for run, row in zip(runs, scored, strict=True):
            logits[run] = row
            of = f"logits of {run} on {job.settings['domain']}"
            _keep(store, keys[run], row, output, of, made)
            print(f"{job.settings['domain']}, {run}: scored {len(row)} cases")
    return logits


def judged_subset(cases: pd.DataFrame) -> pd.Series[str]:
    """Return what each case is for a model that learned from no domain with its domain's split.

    `target` without a split, `test` where it is held out in every fold, `out_of_fold` where some
    fold leaves it out; empty for the others, which no such model is judged on.
    """
    names = []
    for subsets in cases["subsets"]:
        judged = [name for name in (TARGET, TEST, OUT_OF_FOLD) if name in subsets]
        names.append(judged[0] if judged else "")
    return pd.Series(names, index=cases.index, dtype="str")


def _decoded(job: ScoringJob) -> tuple[pd.DataFrame, CaseInputs]:
    table = read_cases(job.cases)
    seeds = sorted({run.seed for run in job.models})
    inputs = CaseInputs.open(job.inputs, table, job.settings["domain"], seeds)
    table = table[inputs.known(table)].sort_values("case_id").reset_index(drop=True)
    if table.empty:
        raise TableError(f"{job.cases}: no case of {job.settings['domain']} could be decoded")
    return table, inputs


def _cases_of(job: ScoringJob, run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Return the cases that a run scores, with its view of their subset."""
    own = job.settings["own"]
    subset = subset_of(table, run.fold) if job.settings["own_fold"] else judged_subset(table)
    scored = subset.isin(SCORED_ON_OWN if own else JUDGED_SUBSETS)
    return table.assign(subset=subset)[scored.to_numpy()].reset_index(drop=True)


def _named(job: ScoringJob, cases: pd.DataFrame) -> pd.DataFrame:
    """Return what a run's scores are of, as `case_id` and `subset`: the cases, or their units."""
    if not kind_of(job.settings["kind"]).SCORES_UNITS:
        return cases[["case_id", "subset"]]
    units = cases.groupby("unit_id", sort=True)["subset"].first()
    return pd.DataFrame({"case_id": units.index, "subset": units.to_numpy()})


def _key(job: ScoringJob, run: Run, cases: pd.DataFrame, inputs: CaseInputs) -> str:
    digest = hashlib.sha256("\n".join(cases["case_id"]).encode())
    columns = kind_of(job.settings["kind"]).SCORED_COLUMNS
    for values in cases[list(columns)].astype("string").fillna("\0").itertuples(index=False):
        digest.update("\1".join(values).encode() + b"\n")
    for value in inputs.hashes(cases, run.seed):
        digest.update(value.encode())
    folder = job.models[run]
    files = [folder / RECORD_NAME, folder / WEIGHTS_NAME]
    parameters = {"code": dict(job.code), "cases": digest.hexdigest()}
    return result_key(parameters, files)


def _scored(
    job: ScoringJob, runs: Sequence[Run], cases: pd.DataFrame, inputs: CaseInputs
) -> NDArray[np.float64]:
    for run in runs:
        check_weights(job.models[run])
    request = ScoreRequest(
        models=tuple(job.models[run] for run in runs),
        cases=cases,
        pixels=inputs.pixels,
        features=inputs.features,
        scores=tuple(inputs.scores[run.seed] for run in runs) if inputs.scores else (),
    )
    return kind_of(job.settings["kind"]).score(request)


def _table(
    job: ScoringJob,
    wanted: Mapping[Run, pd.DataFrame],
    logits: Mapping[Run, NDArray[np.float64]],
) -> pd.DataFrame:
    named = {run: _named(job, cases) for run, cases in wanted.items()}
    parts = [
        pd.DataFrame(
            {
                "arm": run.arm,
                "seed": run.seed,
                "fold": run.fold,
                "domain": job.settings["domain"],
                "subset": named[run]["subset"].to_numpy(),
                "case_id": named[run]["case_id"].to_numpy(),
                "logit": logits[run],
            }
        )
        for run in sorted(wanted)
    ]
    return pd.concat(parts, ignore_index=True)[PREDICTION_SCHEMA.names]


def _restored(store: Store, key: str, output: Path) -> NDArray[np.float64] | None:
    place = output.with_name(f".{LOGITS}-{key}")
    if not store.restore(key, {LOGITS: place}):
        return None
    values = np.load(place, allow_pickle=False)
    place.unlink()
    return values


def _keep(
    store: Store,
    key: str,
    logits: NDArray[np.float64],
    output: Path,
    of: str,
    made: Mapping[str, Any],
) -> None:
    path = output.with_name(f"new-{key}.npy")
    with atomic_path(path) as temporary:
        np.save(temporary, logits)
    store.keep(key, {LOGITS: path}, of, made)
    path.unlink()
