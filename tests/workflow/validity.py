"""What is done to a finished study, and which rules must run then: one row each.

`python tests/workflow/validity.py` writes the table into docs/what-runs-again.md, which a test
compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import edits as e
from edits import Edit
from grown import MODULES
from miniature import Project

PAGE = Path(__file__).resolve().parents[2] / "docs" / "what-runs-again.md"

REPORT = {"report_study"}
STATISTICS = {"calibrate_study", "evaluate_study", "compare_arms", "combine_seeds"} | REPORT
AFTER_SCORING = {"score_arm", "audit_predictions"} | STATISTICS
CARDS = {"write_card"}
AFTER_TRAINING = {"train_arm"} | CARDS | AFTER_SCORING
PIXELS = {"preprocess_bundle", "collect_bundles"}
AUDITS = {"audit_lineage", "audit_study"}
AFTER_A_TARGET = {"ingest_dataset", "make_cases"} | PIXELS | AUDITS | AFTER_SCORING
# The source is a twin, which has a contact sheet; the real target has none.
OF_A_TWIN = {"audit_domain", "draw_contact_sheet", "train_arm"} | CARDS
AFTER_THE_SOURCE = AFTER_A_TARGET | OF_A_TWIN
EVERYTHING = AFTER_THE_SOURCE | {"make_twin", "convert_weights"}
AFTER_ALL_PIXELS = PIXELS | AUDITS | AFTER_SCORING | OF_A_TWIN


@dataclass(frozen=True)
class Row:
    """What was done, and the rules of which jobs must run."""

    done: str
    edit: Edit
    must: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Part:
    """Rows of one kind, for the page."""

    title: str
    rows: tuple[Row, ...]


def _row(done: str, edit: Edit, *must: set[str]) -> Row:
    return Row(done, edit, frozenset().union(*must))


def _more_may_be_lost_and_a_loss_changes(project: Project) -> None:
    e.dataset("mias", maximum_lost_share=0.5)(project)
    e.code("training/losses/bce.py")(project)


TRAINING, MODEL = "training.py", "model.py"
FILES = Part(
    "Files",
    (
        _row("nothing", lambda p: None),
        _row("every file touched", e.touched),
        _row("a fresh clone beside the results", e.fresh_code),
        _row("archives and weights moved", e.moved_data),
    ),
)
TEXTS = Part(
    "Code that changes no number",
    (
        _row("a comment", e.replaced("training/losses/bce.py", "def ", "# a comment\ndef ")),
        _row("a docstring", e.replaced("training/losses/bce.py", '"""', '"""In other words: ')),
        _row(
            "formatting of a script",
            lambda p: p.edit("workflow/scripts/train_arm.py", "from pathlib", "\n\nfrom pathlib"),
        ),
        _row("the message of an error", e.replaced("training/loop.py", "a smaller lr", "less lr")),
        _row("a line of a log", e.replaced("training/loop.py", "training on {", "trained on {")),
        _row(
            "a new line of a log",
            e.replaced(
                "training/run.py", "    store = job.store", "    print(key)\n    store = job.store"
            ),
        ),
        _row(
            "a logged warning",
            e.replaced("pixelstore/writer.py", "another tone may suit it", "try another"),
        ),
        _row(
            "a validator of the configuration",
            e.replaced("configuration/training.py", "is only for the loss", "goes with the loss"),
        ),
        _row(
            "annotations",
            e.replaced(
                "training/losses/bce.py", "positive_weight: float = 1.0", "positive_weight=1.0"
            ),
        ),
        _row("a private function renamed", e.private_function_renamed),
        _row("a local variable renamed", e.local_variable_renamed),
        _row("functions in another order", e.order_of_functions),
        _row(
            "an unused import of Python's own",
            e.replaced("statistics/auc.py", "from dataclasses", "import json\nfrom dataclasses"),
        ),
        _row(
            "how far ahead images are read",
            e.replaced("execution/readers.py", "AHEAD = 2", "AHEAD = 3"),
        ),
        _row(
            "a new function where training errors are",
            e.replaced("errors.py", "class A", "def new():\n    pass\n\n\nclass A"),
        ),
        _row(
            "a new class and a new constant",
            e.replaced(
                "training/schedule.py",
                "def best",
                "NEW = 3\n\n\nclass New:\n    x = NEW\n\n\ndef best",
            ),
        ),
        _row(
            "the exit code of an error", e.replaced("errors.py", "exit_code = 1", "exit_code = 3")
        ),
        _row(
            "how a GPU is claimed",
            e.replaced("execution/gpu_claim.py", "_PAUSE = 2.0", "_PAUSE = 3.0"),
        ),
    ),
)
GROWTH = Part(
    "What the project grows by",
    (
        *(_row(f"a new {what}", e.new_module(what)) for what in MODULES if what != "adapter"),
        _row("a new adapter and its twin", e.new_twin),
        _row("a new backbone", e.new_backbone),
        _row("a study that is not named", e.second_study),
        *(
            _row(f"an optional field of {what}", e.optional_field(after, file))
            for what, after, file in (
                ("an input", '    fit: Literal["pad", "stretch"] = "pad"', MODEL),
                ("a backbone", "    variable_size: bool = False", MODEL),
                ("an arm", "    head: Head | None = None", MODEL),
                ("a loss", "    alpha: Share = 0.25", TRAINING),
                ("a stage", "    dropout: Share = 0.0", TRAINING),
                ("an augmentation", "    horizontal_flip: Share = 0.0", TRAINING),
                ("a training", "    batch_size: Annotated[int, Field(ge=1)] = 8", TRAINING),
                ("a twin", "    population: Population = Population()", "dataset.py"),
                ("a domain", '    combine: Literal["mean", "max"] = "mean"', "domain.py"),
                ("a study", '    question: str = ""', "study.py"),
            )
        ),
    ),
)
OF_OTHERS = Part(
    "Code that this study does not use",
    tuple(
        _row(f"the code of {what}", e.code(file))
        for what, file in (
            ("another adapter", "archives/adapters/cmmd.py"),
            ("another twin", "phantoms/twins/inbreast.py"),
            ("another split method", "cases/splits/k_fold.py"),
            ("another loss", "training/losses/focal.py"),
            ("another head", "models/heads/mlp.py"),
            ("another tone", "imaging/tones/film_log.py"),
            ("another mask", "imaging/masks/breast_without_pectoral.py"),
            ("another kind of arm", "kinds/radiomics.py"),
            ("a set of image features", "radiomics/sets/openbreast32.py"),
            ("a command", "commands/predict.py"),
        )
    ),
)
UNREAD = Part(
    "Configuration that changes no number",
    (
        _row("seeds in another order", e.study(seeds=[1, 0])),
        _row("datasets and their keys in another order", e.reversed_entries),
        _row("a default that is written out", e.in_study("training", sampler="natural")),
        _row("state of trainings saved more often", e.in_study("training", checkpoint_minutes=1.0)),
        _row("somebody told of epochs", e.in_study("training", observers=["tensorboard"])),
        _row("another licence text of weights", e.of_weights(licence="another text")),
        _row("another source of weights", e.of_weights(source="another place")),
        _row("the pin of the same weights file", e.pinned_weights),
        _row("a larger store of kept results", e.setting(store_gigabytes=60.0)),
        _row(
            "the folders of results and logs spelt otherwise",
            e.setting(pathvars={"results": "./results//", "logs": "logs/"}),
        ),
    ),
)
FREE = (TEXTS, UNREAD, GROWTH, OF_OTHERS, FILES)
"""Parts whose rows run nothing."""

CODE = Part(
    "Code that changes numbers",
    (
        _row("code of a loss", e.code("training/losses/bce.py"), AFTER_TRAINING),
        _row("code of the augmentation", e.code("training/augmentation.py"), AFTER_TRAINING),
        _row("code of a head", e.code("models/heads/linear.py"), AFTER_TRAINING),
        _row("code of a tone", e.code("imaging/tones/dicom_voi.py"), AFTER_ALL_PIXELS),
        _row("code of one adapter", e.code("archives/adapters/mias.py"), AFTER_A_TARGET),
        _row(
            "code of one twin",
            e.code("phantoms/twins/cbis_ddsm.py"),
            {"make_twin"},
            AFTER_THE_SOURCE,
        ),
        _row(
            "code of the split method",
            e.code("cases/splits/patient_stratified.py"),
            {"make_cases", "audit_domain"},
            AUDITS,
            AFTER_TRAINING,
        ),
        _row("code of the scoring", e.code("scoring/score.py"), AFTER_SCORING, CARDS),
        _row(
            "code of a statistic of the calibration",
            e.code("statistics/recalibration_budget.py"),
            {"calibrate_study"},
            REPORT,
        ),
        _row("code of a statistic of all", e.code("statistics/auc.py"), STATISTICS, CARDS),
        _row("a new metric", e.new_metric, {"evaluate_study"}, REPORT),
        _row("a new table", e.new_table, REPORT),
        _row("code of all tables", e.code("report/formatting.py"), REPORT),
        _row(
            "a text of the report",
            lambda p: p.edit(
                "workflow/report/captions.yaml", "Training of each", "Training of every"
            ),
            REPORT,
        ),
        _row(
            "the report's style",
            lambda p: p.edit("workflow/report/report.css", "{", "{ /* counts here */"),
            REPORT,
        ),
        _row(
            "code of a script",
            lambda p: p.add_code("workflow/scripts/evaluate_study.py"),
            {"evaluate_study"},
            REPORT,
        ),
        _row(
            "a loss, and more of a target may be lost",
            _more_may_be_lost_and_a_loss_changes,
            {"train_arm"},
            CARDS,
            AFTER_A_TARGET,
        ),
    ),
)
VALUES = Part(
    "Configuration that changes numbers or pages",
    (
        _row("title of the study", e.study(title="Another title"), REPORT),
        _row("title of a dataset", e.dataset("mias", title="Another name"), REPORT),
        _row("licence of the source", e.dataset("cbis_ddsm", licence="another"), CARDS, REPORT),
        _row("label of an arm", e.arm("plain", label="Plain"), CARDS, REPORT),
        _row(
            "subgroups",
            e.study(subgroups=["density", "view"]),
            {"evaluate_study", "compare_arms"},
            REPORT,
        ),
        _row("specificity", e.study(specificity=0.9), STATISTICS - {"combine_seeds"}, CARDS),
        _row("resamples", e.study(bootstrap_resamples=200), STATISTICS - {"combine_seeds"}),
        _row(
            "calibrations", e.study(calibration=["temperature_source"]), {"calibrate_study"}, REPORT
        ),
        _row("sizes of recalibration", e.study(budget_sizes=[12]), {"calibrate_study"}, REPORT),
        _row(
            "margins",
            e.study(margins={"transfer_drop_auc": 0.05}),
            {"combine_seeds", "compare_arms"},
            REPORT,
        ),
        _row(
            "another correction of comparisons",
            e.study(
                comparisons=[
                    {"family": "all", "on": "all", "reference": "plain", "correct": "holm"}
                ]
            ),
            {"combine_seeds", "compare_arms"},
            REPORT,
        ),
        _row(
            "arms in another order",
            e.reversed_arms,
            STATISTICS,
            {"audit_study", "audit_predictions"},
        ),
        _row(
            "augmentation",
            e.in_study("training", augmentation={"vertical_flip": 0.25}),
            AFTER_TRAINING,
        ),
        _row("loss of the study", e.study(loss={"positive_weight": "balanced"}), AFTER_TRAINING),
        _row("training of one arm", e.arm("started", training={"batch_size": 4}), AFTER_TRAINING),
        _row(
            "normalisation of a backbone",
            e.backbone(mean=[0.3]),
            {"convert_weights"},
            AFTER_TRAINING,
        ),
        _row(
            "mask of the input",
            e.study(input={"size": [64, 48], "mask": "breast"}),
            AFTER_ALL_PIXELS,
        ),
        _row(
            "tone of one target",
            e.dataset("mias", tone="percentile"),
            PIXELS,
            AUDITS,
            AFTER_SCORING,
        ),
        _row(
            "split of the source",
            e.another_split,
            {"make_cases", "audit_domain"},
            AUDITS,
            AFTER_TRAINING,
        ),
        _row("seed of a twin", e.another_twin, {"make_twin"}, AFTER_THE_SOURCE),
        _row(
            "another number of bundles", e.dataset("mias", bundles=2), PIXELS, AUDITS, AFTER_SCORING
        ),
        _row("a new arm", e.new_arm, {"audit_study"}, AFTER_TRAINING),
        _row("a new seed", e.study(seeds=[0, 1, 7]), AFTER_TRAINING),
        _row("a new target", e.study(targets=["mias", "hospital"]), AFTER_A_TARGET),
        _row("a removed arm", e.removed_arm, {"audit_study", "audit_predictions"}, STATISTICS),
        _row("a removed seed", e.study(seeds=[0]), AFTER_SCORING, CARDS),
        _row(
            "a removed target",
            e.study(targets=None),
            {"audit_study", "audit_predictions"},
            STATISTICS,
        ),
    ),
)
DATA = Part(
    "Data and results",
    (
        _row("something painted into an image", e.changed_image, AFTER_A_TARGET),
        _row(
            "a new version of a weights file", e.other_weights, {"convert_weights"}, AFTER_TRAINING
        ),
        _row("a report deleted", e.deleted("small/report/index.html"), REPORT),
        _row("a table deleted, the report still there", e.deleted("small/tables/metrics.csv")),
        _row(
            "a model deleted, its scores still there",
            e.deleted("small/plain/seed-0/fold-0/model.safetensors"),
        ),
        _row("another version of timm", e.other_version),
        _row("the folders of two seeds exchanged", e.seeds_exchanged, AFTER_TRAINING),
        _row("results copied without hidden files", e.without_hidden_files, EVERYTHING),
    ),
)
PARTS = (*FREE, CODE, VALUES, DATA)


def page() -> str:
    """Return the page that lists all rows."""
    count = sum(len(part.rows) for part in PARTS)
    lines = [
        "# What runs again",
        "",
        f"{count} changes of a finished study with a source, a target, two arms and two seeds, and "
        "the rules of which jobs then run, as `tests/workflow/test_invalidation.py` finds them: "
        "those and no others. What restores what it kept is among them (see "
        "[workflow.md](workflow.md)). Written by `python tests/workflow/validity.py`.",
    ]
    for part in PARTS:
        lines += ["", f"## {part.title}", ""]
        if part in FREE:
            lines += ["Nothing runs after", ""]
            lines += [f"- {row.done}" for row in part.rows]
            continue
        lines += ["| changed | runs |", "|---|---|"]
        lines += [f"| {row.done} | {_named(row.must)} |" for row in part.rows]
    return "\n".join(lines) + "\n"


def _named(rules: frozenset[str]) -> str:
    return ", ".join(f"`{rule}`" for rule in sorted(rules)) or "nothing"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
