"""F1, F5, F7 and F8: intervals side by side - differences, drops, seeds and subgroups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from mammoshift.report.figures.style import (
    ACCENT,
    FAINT,
    FONT_SIZE,
    GREY,
    INK,
    PAGE_WIDTH,
    RULE,
    ReportFigure,
    draw,
    shortened,
    text_width,
    wrapped,
)
from mammoshift.report.formatting import counted, format_estimate, format_p, is_null, typographic
from mammoshift.report.rows import cohort_name
from mammoshift.report.vocabulary import spoken

_ROW = 0.21
_NAME_CHARACTERS = 30
SUMMARY_WIDTH = 5.0
_DROP_COLOURS = LinearSegmentedColormap.from_list("drop", ["#ffffff", "#7fa3c7"])
_SEED_MARKERS = "osD^vP*XdphH"


def forest_plot(data: pd.DataFrame) -> ReportFigure:
    """Draw the differences in AUC with raw and adjusted p values, grouped by domain (F1)."""
    keys = ["family", "domain", "subset", "reference"]
    groups = [(tuple(map(str, key)), rows) for key, rows in data.groupby(keys, sort=False)]
    lines = sum(len(rows) + 1.4 for _, rows in groups)
    names = [shortened(name, _NAME_CHARACTERS) for name in data["arm"]]
    left = text_width(max(map(len, names), default=0) + 2)
    right = text_width(40)
    figure, ax = _row_figure(lines, left, right, bottom=0.62, top=0.34)
    y = 0.0
    for (family, domain, subset, reference), rows in groups:
        name = cohort_name(spoken(domain) if domain == "all_targets" else domain, subset)
        heading = f"{name}, {spoken(family)}: against {shortened(reference, 36)}"
        _left_text(ax, y, heading, left, bold=True)
        for _, row in rows.iterrows():
            y += 1.0
            _left_text(ax, y, shortened(row["arm"], _NAME_CHARACTERS), left, indent=0.12)
            _interval(ax, y, row["estimate"], row["ci_low"], row["ci_high"])
            _right_columns(ax, y, _forest_cells(row), right)
        y += 1.4
    _right_columns(ax, -1.0, ("difference (95% CI)", "p", "adjusted p"), right, colour=GREY)
    ax.axvline(0.0, color=GREY, linewidth=0.7, zorder=0)
    limits = data[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float)
    reach = float(np.nanmax(np.abs(limits), initial=0.02)) * 1.08
    ax.set_xlim(-reach, reach)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("AUC of arm minus AUC of reference   (left: reference better; right: arm better)")
    supported = int(((data["ci_low"] > 0) | (data["ci_high"] < 0)).sum())
    description = (
        f"Forest plot of {counted(len(data), 'difference')} in AUC, each an arm minus its "
        f"reference. The 95% interval of {supported} leaves out zero. The values are in "
        "the table of the headline comparisons."
    )
    drawing = draw(figure, "differences", "AUC differences to the reference", description)
    return ReportFigure("differences", "differences", "", drawing, data)


def drop_heat_map(data: pd.DataFrame) -> ReportFigure:
    """Draw the transfer drop of each arm (rows) to each other domain (columns) (F5)."""
    cohorts = [cohort_name(*key) for key in zip(data["domain"], data["subset"], strict=True)]
    arms, targets = list(dict.fromkeys(data["arm"])), list(dict.fromkeys(cohorts))
    longest = max(len(shortened(arm, _NAME_CHARACTERS)) for arm in arms)
    left = text_width(longest + 2)
    cell = min(1.35, (PAGE_WIDTH - left - 0.1) / max(len(targets), 1))
    height = 0.44 * len(arms)
    size = (left + cell * len(targets) + 0.1, height + 0.55)
    figure = Figure(figsize=size)
    box = (left / size[0], 0.06 / size[1], cell * len(targets) / size[0], height / size[1])
    ax = figure.add_axes(box)
    drops = data["value"].to_numpy(dtype=float)
    most = max(float(np.nanmax(drops, initial=0.0)), 0.05)
    for cohort, (_, row) in zip(cohorts, data.iterrows(), strict=True):
        x, y = targets.index(cohort), arms.index(row["arm"])
        share = 0.0 if is_null(row["value"]) else min(max(row["value"] / most, 0.0), 1.0)
        ax.add_patch(
            Rectangle(
                (x - 0.5, y - 0.5),
                1.0,
                1.0,
                facecolor=_DROP_COLOURS(share),
                edgecolor="white",
                linewidth=1.5,
            )
        )
        value, interval = _drop_text(row)
        ax.text(x, y - 0.14, value, ha="center", va="center", color=INK, fontweight="bold")
        ax.text(
            x, y + 0.24, interval, ha="center", va="center", color=INK, fontsize=FONT_SIZE - 1.5
        )
    ax.set(xlim=(-0.5, len(targets) - 0.5), ylim=(len(arms) - 0.5, -0.5))
    ax.set_xticks(range(len(targets)), ["\n".join(wrapped(t, 16)[:2]) for t in targets])
    ax.set_yticks(range(len(arms)), [shortened(arm, _NAME_CHARACTERS) for arm in arms])
    ax.tick_params(length=0, labelsize=FONT_SIZE, top=False, labeltop=True, labelbottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    description = (
        f"Heat map of transfer drops for {counted(len(arms), 'arm')} and "
        f"{counted(len(targets), 'other domain')}; darker is a larger loss of AUC. Each cell "
        "states the drop and its 95% interval, as does the table."
    )
    drawing = draw(figure, "transfer-drop", "Transfer drop by arm and domain", description)
    return ReportFigure("transfer_drop", "transfer_drop", "", drawing, data)


def seed_strip(data: pd.DataFrame) -> ReportFigure:
    """Draw the AUC of each seed beside the mean with its interval, domain by domain (F7)."""
    groups = list(data.groupby(["domain", "subset"], sort=False))
    arms = list(dict.fromkeys(data["arm"]))
    seeds = [seed for seed in dict.fromkeys(data["seed"]) if seed != "mean"]
    left = text_width(max(len(shortened(arm, _NAME_CHARACTERS)) for arm in arms) + 2)
    lines = sum(rows["arm"].nunique() + 1.4 for _, rows in groups)
    figure, ax = _row_figure(lines, left, 0.1, bottom=0.74, top=0.1)
    y = 0.0
    for (domain, subset), rows in groups:
        name = cohort_name(str(domain), str(subset))
        _left_text(ax, y, name, left, bold=True)
        for arm in dict.fromkeys(rows["arm"]):
            y += 1.0
            _left_text(ax, y, shortened(arm, _NAME_CHARACTERS), left, indent=0.12)
            of_arm = rows[rows["arm"] == arm]
            for _, row in of_arm[of_arm["seed"] == "mean"].iterrows():
                _interval(ax, y, row["value"], row["ci_low"], row["ci_high"], marker="|", size=9)
            for place, seed in enumerate(seeds):
                values = of_arm.loc[of_arm["seed"] == seed, "value"]
                ax.plot(
                    values,
                    [y] * len(values),
                    _SEED_MARKERS[place % len(_SEED_MARKERS)],
                    markersize=4,
                    markerfacecolor="white",
                    markeredgecolor=INK,
                    markeredgewidth=0.8,
                    label=f"seed {seed}",
                    zorder=3,
                )
        y += 1.4
    _auc_axis(ax, data)
    handles, labels = ax.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(
        unique.values(),
        unique.keys(),
        loc="lower left",
        ncols=min(len(unique), 8),
        bbox_to_anchor=(0.0, 0.0),
        handletextpad=0.1,
        columnspacing=1.2,
    )
    description = (
        f"For {counted(len(arms), 'arm')} and {counted(len(groups), 'cohort')}, the AUC of each of "
        f"{counted(len(seeds), 'seed')} as a marker, and the mean over the seeds as a bar "
        "with its 95% interval."
    )
    drawing = draw(figure, "seeds", "AUC by seed", description)
    return ReportFigure("seeds", "seeds", "", drawing, data)


def summary_strip(data: pd.DataFrame) -> ReportFigure:
    """Draw the AUC of each arm where it was trained and where it was applied, one row each (F0).

    Columns `domain, subset, own, leak, arm, value, ci_low, ci_high`; `own` tells the arm's own
    domain, `leak` one whose patients are in training too.
    """
    arms = list(dict.fromkeys(data["arm"]))
    domains = [_domain_name(row) for _, row in data.iterrows()]
    names = [*(shortened(arm, _NAME_CHARACTERS) for arm in arms), *domains]
    left = text_width(max(map(len, names)) + 2)
    lines = sum(len(rows) + 1.3 for _, rows in data.groupby("arm", sort=False))
    figure, ax = _row_figure(lines, left, text_width(24), 0.42, 0.05, width=SUMMARY_WIDTH)
    y = 0.0
    for arm, rows in data.groupby("arm", sort=False):
        _left_text(ax, y, shortened(str(arm), _NAME_CHARACTERS), left, bold=True)
        for _, row in rows.iterrows():
            y += 1.0
            _left_text(ax, y, _domain_name(row), left, indent=0.12)
            _interval(
                ax, y, row["value"], row["ci_low"], row["ci_high"], "s" if row["own"] else "o"
            )
            _right_columns(ax, y, (_auc_text(row), "", ""), text_width(24))
        y += 1.3
    _auc_axis(ax, data)
    description = (
        f"The AUC of {counted(len(arms), 'arm')} with its 95% interval on held-out cases of the "
        "arm's own domain (square) and on the other domains (circle)."
    )
    drawing = draw(figure, "summary", "AUC by arm and domain", description)
    return ReportFigure("summary", "summary", "", drawing, data)


def _domain_name(row: pd.Series) -> str:
    name = cohort_name(row["domain"], row["subset"])
    if row["leak"]:
        return f"{shortened(name, _NAME_CHARACTERS - 6)}, leak"
    return shortened(name, _NAME_CHARACTERS)


def subgroup_plot(data: pd.DataFrame, key: str, cohort: str, subgroup: str) -> ReportFigure:
    """Draw the AUC in each value of a subgroup, arm by arm, for one cohort (F8)."""
    groups = list(data.groupby("arm", sort=False))
    values = [f"{v}" for v in data["subgroup_value"]]
    left = text_width(max(max(map(len, values), default=0) + 6, 16))
    right = text_width(40)
    lines = sum(len(rows) + 1.4 for _, rows in groups)
    figure, ax = _row_figure(lines, left, right, bottom=0.62, top=0.34)
    y = 0.0
    for arm, rows in groups:
        p = rows["interaction_p"].iloc[0]
        with_reference = rows["interaction_with"].iloc[0]
        against = f" (difference to {with_reference})" if with_reference else ""
        test = "" if is_null(p) else f"interaction p {_relation(p)}{against}"
        _left_text(ax, y, shortened(str(arm), 40), left, bold=True)
        _right_columns(ax, y, (test, "", ""), right, colour=GREY)
        for _, row in rows.iterrows():
            y += 1.0
            _left_text(ax, y, row["subgroup_value"], left, indent=0.12)
            _interval(ax, y, row["value"], row["ci_low"], row["ci_high"])
            shown = row["note"] if is_null(row["value"]) else _auc_text(row)
            counts = f"{row['n_pos']:.0f} / {row['n_neg']:.0f}"
            if is_null(row["value"]):
                shown = "too few cases" if row["note"].startswith("not shown") else "not computed"
            _right_columns(ax, y, (shown, counts, ""), right)
        y += 1.4
    _right_columns(ax, -1.0, ("AUC (95% CI)", "pos. / neg.", ""), right, colour=GREY)
    _auc_axis(ax, data)
    description = (
        f"AUC with 95% intervals by {spoken(subgroup)} on {cohort}, for "
        f"{counted(len(groups), 'arm')}. The values are in the table of subgroups."
    )
    title = f"AUC by {spoken(subgroup)}: {cohort}"
    drawing = draw(figure, key, title, description)
    return ReportFigure(key, "subgroups", cohort, drawing, data)


def _row_figure(
    lines: float, left: float, right: float, bottom: float, top: float, width: float = PAGE_WIDTH
) -> tuple[Figure, Axes]:
    """Return axes whose rows are one unit high and run down from y = 0; sizes in inches."""
    height = lines * _ROW
    size = (width, height + bottom + top)
    figure = Figure(figsize=size)
    width = width - left - right
    ax = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
    ax.set_ylim(lines - 0.6, -0.7)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=RULE, linewidth=0.5)
    ax.set_axisbelow(True)
    return figure, ax


def _left_text(
    ax: Axes, y: float, text: str, left: float, *, indent: float = 0.0, bold: bool = False
) -> None:
    ax.annotate(
        text,
        (0.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(-72.0 * (left - indent - 0.05), 0.0),
        textcoords="offset points",
        va="center",
        ha="left",
        fontweight="bold" if bold else "normal",
        annotation_clip=False,
    )


def _right_columns(
    ax: Axes, y: float, cells: tuple[str, str, str], right: float, colour: str = INK
) -> None:
    for share, text in zip((0.04, 0.62, 0.8), cells, strict=True):
        ax.annotate(
            text,
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(72.0 * right * share, 0.0),
            textcoords="offset points",
            va="center",
            ha="left",
            color=colour,
            fontsize=FONT_SIZE - 0.5,
            annotation_clip=False,
        )


def _interval(
    ax: Axes,
    y: float,
    value: float,
    low: float,
    high: float,
    marker: str = "s",
    size: float = 4.5,
) -> None:
    """Draw a point with its interval; nothing where there is no value."""
    if is_null(value):
        return
    if not is_null(low) and not is_null(high):
        ax.plot([low, high], [y, y], color=ACCENT, linewidth=1.3, zorder=2)
    ax.plot([value], [y], marker, color=ACCENT, markersize=size, markeredgewidth=1.3, zorder=2)


def _auc_axis(ax: Axes, data: pd.DataFrame) -> None:
    numbers = data[["value", "ci_low", "ci_high"]].to_numpy(dtype=float)
    low = float(np.nanmin(numbers, initial=0.5))
    high = float(np.nanmax(numbers, initial=0.6))
    margin = 0.04 * (high - low)
    ax.set_xlim(low - margin, min(high + margin, 1.01))
    ax.axvline(0.5, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    ax.set_xlabel("AUC   (dashed line: chance)")


def _forest_cells(row: pd.Series) -> tuple[str, str, str]:
    if is_null(row["estimate"]):
        return "not computed", "", ""
    difference = format_estimate(row["estimate"], row["ci_low"], row["ci_high"], signed=True)
    adjusted = "" if is_null(row["p_adjusted"]) else format_p(row["p_adjusted"])
    p = "" if is_null(row["p"]) else format_p(row["p"])
    return typographic(difference), p, adjusted


def _drop_text(row: pd.Series) -> tuple[str, str]:
    if is_null(row["value"]):
        return "n/a", "not computed"
    text = format_estimate(row["value"], row["ci_low"], row["ci_high"], decimals=2, signed=True)
    value, _, interval = text.partition(" ")
    return typographic(value), typographic(interval)


def _auc_text(row: pd.Series) -> str:
    return typographic(format_estimate(row["value"], row["ci_low"], row["ci_high"]))


def _relation(p: float) -> str:
    text = format_p(p)
    return f"{text[0]} {text[1:]}" if text[0] in "<>" else f"= {text}"
