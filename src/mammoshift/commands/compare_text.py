"""What `mammoshift compare` prints: the conclusion and one table, or everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from mammoshift.commands.compare_metrics import METRICS
from mammoshift.commands.compare_report import ALL_DATASETS, Report
from mammoshift.commands.options import Row
from mammoshift.commands.text_tables import (
    ROWS_OF_A_SCREEN,
    number,
    p_value,
    print_notes,
    print_table,
    with_interval,
)
from mammoshift.statistics.curve_values import RANDOM
from mammoshift.statistics.margins import NOT_DEFINED
from mammoshift.statistics.multireader import NESTED

NAMED = 4
HANGS_ON_PREVALENCE = ("auprc", "brier", "nll")
DIFFERENT_PREVALENCE = 0.05
"""Differences that the conclusion names; the rest is counted."""
SCOPE = (
    f"{NESTED} is the test for claims about architectures (seeds random), "
    "exact_fixed that for these checkpoints (seeds fixed)"
)
READ_FROM = (
    "Verdicts are corrected for the number of tests ({}), and so are the limits that they are read "
    "from{}; the intervals beside the estimates are not"
)
OF_JSON = " (verdict_low and verdict_high of --json FILE)"


def print_headline(report: Report, console: Console) -> None:
    """Print the conclusion, and the arms and their differences in one table."""
    print_notes(console, [report.settings["warning"], *conclusion(report)])
    console.print()
    percent = f"{100.0 * report.settings['level']:g} %"
    datasets = list(dict.fromkeys(row["dataset"] for row in (*report.arms, *report.headline)))
    fits = len(report.arms) + len(report.headline) + len(report.drops) <= ROWS_OF_A_SCREEN
    if fits:
        _long_table(report, console, percent)
    else:
        _wide_table(report, console, percent, datasets)
    if report.roc and len(report.roc) <= 4 * ROWS_OF_A_SCREEN:
        _print_roc(report, console, percent)
    print_notes(
        console,
        [
            *(row["note"] for row in (*report.arms, *report.headline, *report.drops)),
            READ_FROM.format(report.settings["correction"], "" if fits else OF_JSON)
            if _corrected(report)
            else "",
            report.settings["note"],
            "--all prints every seed and method, --json FILE writes them",
        ],
    )


def conclusion(report: Report) -> list[str]:
    """Return the conclusions as sentences without their full stop."""
    sentences = _on_missing_classes(report)
    if report.headline:
        sentences.append(_on_differences(report))
        if report.settings["margin"] is not None:
            sentences.append(_on_margin(report))
    if report.drops:
        sentences.append(_on_drops(report))
    if report.settings["source"] is not None and report.settings["margin"] is None:
        sentences.append(NOT_DEFINED[0].upper() + NOT_DEFINED[1:])
    return sentences


def _on_missing_classes(report: Report) -> list[str]:
    """Return which datasets lack positive or negative cases, and what is undefined there."""
    lacking: dict[str, list[str]] = {}
    for row in report.arms:
        if row["value"] is None and 0 in (row["n_pos"], row["n_neg"]):
            cases = row["n_pos"] + row["n_neg"]
            missing = "negative" if row["n_pos"] else "positive"
            where = f"{row['dataset']} has" if row["dataset"] else "There is"
            lacking.setdefault(f"{where} no {missing} case among {cases}", []).append(row["arm"])
    title = report.settings["title"]
    return [
        f"{what}: {title} is undefined there for {_listed(arms)}" for what, arms in lacking.items()
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _on_differences(report: Report) -> str:
    alpha = 1.0 - report.settings["level"]
    known = [row for row in report.headline if row["p_adjusted"] is not None]
    found = sorted(
        (row for row in known if row["p_adjusted"] < alpha), key=lambda row: row["p_adjusted"]
    )
    scopes = {_scope(row) for row in found or report.headline}
    mixed = len(scopes) > 1
    scope = "some with seeds as random" if mixed else "".join(scopes)
    plural = "s" if len(report.headline) != 1 else ""
    total = f"{len(report.headline)} difference{plural} of {report.settings['title']}"
    if not found:
        least = min((row["p_adjusted"] for row in known), default=None)
        smallest = "none could be tested" if least is None else f"smallest adjusted p {_p(least)}"
        return f"No difference between arms is supported, {scope}: {total}, {smallest}"
    named = []
    for row in found[:NAMED]:
        up = row["estimate"] > 0
        better, worse = (row["arm_a"], row["arm_b"])[:: 1 if up else -1]
        named.append(
            f"{better} above {worse} by {abs(row['estimate']):.3f}{_where(row)} "
            f"(adjusted p {_p(row['p_adjusted'])}{', ' + _scope(row) if mixed else ''})"
        )
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    lower = METRICS[report.settings["metric"]].lower_is_better
    worse = "; a larger value is worse" if lower else ""
    return f"{len(found)} of {total} supported, {scope}: {'; '.join(named)}{more}{worse}"


def _scope(row: Row) -> str:
    """Return what a test speaks of."""
    random = row["method"] in (NESTED, RANDOM)
    return "with seeds as random" if random else "of these models alone"


def _on_margin(report: Report) -> str:
    """Return which arms may replace which, by the margin."""
    named = [
        f"{row['arm_a']} is {row['verdict']} to {row['arm_b']}{_where(row)}"
        if row["verdict"] in ("non-inferior", "inferior")
        else f"{row['arm_a']} against {row['arm_b']}{_where(row)} is {row['verdict']}"
        for row in report.headline
    ]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    margin = report.settings["margin"]
    return f"By a margin of {margin:g}: {'; '.join(named[:NAMED])}{more}"


def _where(row: Row) -> str:
    if row["dataset"] == ALL_DATASETS:
        return " over all datasets together"
    return f" on {row['dataset']}" if row["dataset"] else ""


def _on_drops(report: Report) -> str:
    source, margin = report.settings["source"], report.settings["margin"]
    if margin is not None:
        counts = {
            verdict: sum(row["verdict"] == verdict for row in report.drops)
            for verdict in ("non-inferior", "inferior", "undecided", "undefined")
        }
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        return f"Losses from {source} against a margin of {margin:g}: {said}"
    alpha = 1.0 - report.settings["level"]
    lost = [
        row
        for row in report.drops
        if row["p_adjusted"] is not None and row["p_adjusted"] < alpha and row["estimate"] > 0
    ]
    if not lost:
        title = report.settings["title"]
        return f"No loss of {title} from {source} is supported among {len(report.drops)}"
    worst = max(lost, key=lambda row: row["estimate"])
    return (
        f"{len(lost)} of {len(report.drops)} losses of {report.settings['title']} from {source} "
        "are supported; the "
        f"largest is that of {worst['arm_a']} to {worst['dataset']}, {worst['estimate']:.3f}"
        f"{_on_prevalence(report)}"
    )


def _on_prevalence(report: Report) -> str:
    """Return a warning where a measure differs between datasets with the share of positives."""
    if report.settings["metric"] not in HANGS_ON_PREVALENCE:
        return ""
    shares = {row["dataset"]: row["n_pos"] / (row["n_pos"] + row["n_neg"]) for row in report.arms}
    least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    if shares[most] - shares[least] < DIFFERENT_PREVALENCE:
        return ""
    return (
        f"; {report.settings['title']} hangs on the share of positives, {shares[least]:.2f} on "
        f"{least} and {shares[most]:.2f} on {most}, so that this is no loss of the model alone"
    )


def _print_roc(report: Report, console: Console, percent: str) -> None:
    """Print the ROC curves side by side, one row for each specificity."""
    curves = list(dict.fromkeys((row["dataset"], row["arm"], row["seed"]) for row in report.roc))
    cells = {
        (row["dataset"], row["arm"], row["seed"], row["specificity"]): with_interval(
            row["sensitivity"], row["sensitivity_ci_low"], row["sensitivity_ci_high"], 2
        )
        for row in report.roc
    }
    print_table(
        console,
        f"ROC: sensitivity at a specificity, with its own {percent} interval at each",
        (
            "specificity",
            *(", ".join(str(part) for part in curve if part is not None) for curve in curves),
        ),
        [
            (f"{specificity:g}", *(cells[*curve, specificity] for curve in curves))
            for specificity in dict.fromkeys(row["specificity"] for row in report.roc)
        ],
    )


def _long_table(report: Report, console: Console, percent: str) -> None:
    """Print one row for each arm, difference and drop; the verdict beside what it is read from."""
    several = len({row["dataset"] for row in report.arms}) > 1
    corrected = _corrected(report)
    rows = []
    for row in report.arms:
        value = with_interval(row["value"], row["ci_low"], row["ci_high"])
        seeds = f"{row['seeds']} seeds" if row["seeds"] > 1 else None
        rows.append((row["dataset"], row["arm"], value, None, None, *[None] * corrected, seeds))
    for row in (*report.headline, *report.drops):
        what = f"{row['arm_a']} - {row['arm_b']}"
        if "source" in row:
            what = f"loss of {row['arm_a']} from {row['source']}"
        read_from = [_interval(row, sign=True, of="verdict")] if corrected else []
        ends = (*read_from, row.get("verdict"))
        rows.append((row["dataset"], what, _difference(row), *_ps(row), *ends))
    last = ("limits of the verdict", "") if corrected else ("",)
    header = ("dataset", "what", f"value ({percent})", "p", "adjusted", *last)
    if not several:
        header, rows = header[1:], [row[1:] for row in rows]
    print_table(
        console,
        f"Mean {report.settings['title']} and its differences",
        header,
        rows,
        names=1 + several,
    )


def _wide_table(
    report: Report, console: Console, percent: str, datasets: Sequence[str | None]
) -> None:
    """Print one row for each arm, pair and drop, and a column for each dataset."""
    alpha = 1.0 - report.settings["level"]
    rows: dict[str, dict[str | None, str]] = {}
    for row in report.arms:
        half = None if row["ci_low"] is None else (row["ci_high"] - row["ci_low"]) / 2.0
        cell = (number(row["value"]) or "-") + ("" if half is None else f" ±{half:.3f}")
        rows.setdefault(row["arm"], {})[row["dataset"]] = cell
    for row in (*report.headline, *report.drops):
        what = f"{row['arm_a']} - {row['arm_b']}" if row["arm_b"] else f"loss of {row['arm_a']}"
        half = None if row["ci_low"] is None else (row["ci_high"] - row["ci_low"]) / 2.0
        cell = (number(row["estimate"], sign=True) or "-") + (
            "" if half is None else f" ±{half:.3f}"
        )
        supported = row["p_adjusted"] is not None and row["p_adjusted"] < alpha
        rows.setdefault(what, {})[row["dataset"]] = cell + ("*" if supported else " ")
    print_table(
        console,
        f"Mean {report.settings['title']} and its differences, ± half of the {percent} interval; "
        f"* adjusted p < {alpha:.2g}",
        ("", *(str(name or "value") for name in datasets)),
        [(what, *(cells.get(name) for name in datasets)) for what, cells in rows.items()],
    )


def print_everything(report: Report, console: Console) -> None:
    """Print all rows as tables, with the notes numbered below each."""
    percent = f"{100.0 * report.settings['level']:g} %"
    correction = f"p adjusted by {report.settings['correction']} among m tests"
    auc = report.settings["metric"] == "auc"
    title = report.settings["title"]
    how = f" ({report.settings['method']})" if auc else ""
    _print_table(
        console,
        f"{title[0].upper()}{title[1:]} with {percent} interval{how}",
        ("dataset", "arm", "seed"),
        report.curves,
        lambda row: {
            "value": number(row["auc"] if auc else row["value"]),
            "interval": _interval(row),
            "positives": str(row["n_pos"]),
            "negatives": str(row["n_neg"]),
            "patients": str(row["n_clusters"]),
        },
    )
    _print_table(
        console,
        f"Difference of AUC at each seed, paired; {percent} interval, {correction}",
        ("dataset", "arm_a", "arm_b", "seed"),
        report.pairs,
        lambda row: {
            "a - b": number(row["difference"], sign=True),
            "interval": _interval(row, sign=True),
            "z": number(row["z"], digits=2, sign=True),
            **_p_cells(row),
            "detectable": number(row["detectable_difference"]),
        },
    )
    _print_table(
        console,
        f"Difference of AUC over seeds or datasets; {percent} interval, {correction}",
        ("dataset", "arm_a", "arm_b", "method"),
        report.combined,
        lambda row: {
            "a - b": number(row["estimate"], sign=True),
            "interval": _interval(row, sign=True),
            "statistic": number(row["statistic"], digits=2, sign=True),
            "df": number(row["df"], digits=1),
            **_p_cells(row),
        },
    )
    _print_table(
        console,
        "Are all arms equal? (means over these seeds)",
        ("dataset",),
        report.omnibus,
        lambda row: {
            "chi-square": number(row["statistic"], digits=2),
            "df": str(row["df"]),
            "p": p_value(row["p"]),
        },
    )
    nested = any(row["method"] == NESTED for row in report.combined)
    print_notes(console, [SCOPE if nested else ""])


def _print_table(
    console: Console,
    title: str,
    names: Sequence[str],
    rows: Sequence[Row],
    cells: Callable[[Row], dict[str, str | None]],
) -> None:
    """Print the named columns that are filled, then `cells` of each row."""
    if not rows:
        return
    named = [name for name in names if any(row[name] is not None for row in rows)]
    print_table(
        console,
        title,
        [*(name.replace("_", " ") for name in named), *cells(rows[0])],
        [
            [
                *(None if row[name] is None else str(row[name]) for name in named),
                *cells(row).values(),
            ]
            for row in rows
        ],
        names=len(named),
        notes=[row["note"] for row in rows],
    )


def _p_cells(row: Row) -> dict[str, str | None]:
    return {
        "p": p_value(row["p"]),
        "adjusted": p_value(row["p_adjusted"]),
        "m": str(row["family_size"]),
    }


def _ps(row: Row) -> tuple[str | None, str | None]:
    return p_value(row["p"]), p_value(row["p_adjusted"])


def _p(p: float) -> str:
    return p_value(p) or "-"


def _difference(row: Row) -> str | None:
    value, interval = number(row["estimate"], sign=True), _interval(row, sign=True)
    return value if interval is None else f"{value} ({interval})"


def _corrected(report: Report) -> bool:
    """Return whether a verdict is read from another interval than that beside the estimate."""
    return any(
        abs(row["verdict_low"] - row["ci_low"]) + abs(row["verdict_high"] - row["ci_high"]) > 1e-9
        for row in (*report.headline, *report.drops)
        if row.get("verdict_low") is not None and row["ci_low"] is not None
    )


def _interval(row: Row, sign: bool = False, of: str = "ci") -> str | None:
    low, high = number(row[f"{of}_low"], sign=sign), number(row[f"{of}_high"], sign=sign)
    return None if low is None or high is None else f"{low} to {high}"
