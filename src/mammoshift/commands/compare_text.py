"""What `mammoshift compare` prints: the conclusion and one table, or everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from mammoshift.commands.compare_conclusion import conclusion
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
from mammoshift.statistics.multireader import NESTED

COLUMNS_OF_A_SCREEN = 6
FEWEST_ROWS = 4
SCOPE = (
    f"{NESTED} is the test for claims about architectures (seeds random), "
    "exact_fixed that for these checkpoints (seeds fixed)"
)
READ_FROM = (
    "Verdicts are corrected for the number of tests ({}), and so are the limits that they are read "
    "from{}; the intervals beside the estimates are not"
)
NOT_SYMMETRICAL = "Intervals of losses are not symmetrical: --all prints their limits"
OF_JSON = " (verdict_low and verdict_high of --json FILE)"


def print_headline(report: Report, console: Console, everything: bool = False) -> None:
    """Print the conclusion, and the arms and their differences in one table.

    With `everything` the table has a row for each of them, however many.
    """
    print_notes(console, [report.settings["warning"], *conclusion(report)])
    console.print()
    percent = f"{100.0 * report.settings['level']:g} %"
    datasets = list(dict.fromkeys(row["dataset"] for row in (*report.arms, *report.headline)))
    fits = (
        everything
        or len(report.arms) + len(report.headline) + len(report.drops) <= ROWS_OF_A_SCREEN
    )
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
    """Print one row for each arm, pair and drop, and a column for each dataset.

    Where the datasets are too many for a screen the lowest and the highest are printed, and so are
    the differences with the smallest adjusted p.
    """
    alpha = 1.0 - report.settings["level"]
    shown, which = _datasets_of_a_screen(report, datasets)
    rows: dict[str, dict[str | None, str]] = {}
    smallest: dict[str, float] = {}
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
        p = row["p_adjusted"]
        rows.setdefault(what, {})[row["dataset"]] = cell + (
            "*" if p is not None and p < alpha else " "
        )
        smallest[what] = min(smallest.get(what, 1.0), 1.0 if p is None else p)
    names, more = _rows_of_a_screen(list(rows), smallest)
    print_table(
        console,
        f"Mean {report.settings['title']} and its differences, ± half of the {percent} interval; "
        f"* adjusted p < {alpha:.2g}",
        ("", *(str(name or "value") for name in shown)),
        [(what, *(rows[what].get(name) for name in shown)) for what in names],
    )
    print_notes(console, [which, more, NOT_SYMMETRICAL if report.drops else ""])


def _datasets_of_a_screen(
    report: Report, datasets: Sequence[str | None]
) -> tuple[list[str | None], str]:
    """Return the datasets that have a column, and what is to be said of the others."""
    means: dict[str | None, list[float]] = {}
    for row in report.arms:
        if row["value"] is not None:
            means.setdefault(row["dataset"], []).append(row["value"])
    always = [name for name in datasets if name in (ALL_DATASETS, report.settings["source"])]
    ranked = sorted(
        (name for name in means if name not in always),
        key=lambda name: sum(means[name]) / len(means[name]),
    )
    if len(datasets) <= COLUMNS_OF_A_SCREEN:
        return list(datasets), ""
    ends = COLUMNS_OF_A_SCREEN // 2 - 1
    chosen = {*always, *ranked[:ends], *ranked[-ends:]}
    title = report.settings["title"]
    return [name for name in [*ranked, *always] if name in chosen], (
        f"{len(datasets) - len(chosen)} datasets are left out of the table: it has the {ends} of "
        f"the lowest and the {ends} of the highest {title}; --all prints the others too"
    )


def _rows_of_a_screen(names: list[str], smallest: dict[str, float]) -> tuple[list[str], str]:
    """Return the rows that are printed, arms first, and what is to be said of the others."""
    room = max(ROWS_OF_A_SCREEN - sum(name not in smallest for name in names), FEWEST_ROWS)
    if len(smallest) <= room:
        return names, ""
    kept = set(sorted(smallest, key=smallest.__getitem__)[:room])
    return [name for name in names if name in kept or name not in smallest], (
        f"{len(smallest) - room} rows with larger adjusted p are left out; --all prints them too"
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
