"""F2, F3, F4 and learning curves: small multiples, one panel for each arm."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mammoshift.report.figures.style import (
    ACCENT,
    BAND,
    FAINT,
    FONT_SIZE,
    GREY,
    INK,
    PANEL_WIDTH,
    RULE,
    SECOND,
    ReportFigure,
    draw,
    small_multiples,
)
from mammoshift.report.formatting import counted

_THIN = {"linewidth": 0.6, "zorder": 2}
_BOLD = {"linewidth": 1.6, "zorder": 4}


def roc_panels(
    data: pd.DataFrame,
    key: str,
    cohort: str,
    auc_texts: Mapping[str, str],
    reference: str | None,
    specificity: float,
) -> ReportFigure:
    """Draw the ROC curves of one cohort: seeds thin, their mean bold with its band (F2).

    `auc_texts` gives the AUC to print in an arm's panel; the mean curve of `reference` is drawn
    dashed in every other panel.
    """
    arms = list(dict.fromkeys(data["arm"]))
    means = data[data["seed"] == "mean"]
    figure, panels = small_multiples(
        arms, PANEL_WIDTH, x_label="False positive rate", y_labels=("True positive rate",)
    )
    for (ax,), arm in zip(panels, arms, strict=True):
        rows = data[data["arm"] == arm]
        mean = rows[rows["seed"] == "mean"]
        grid = mean["false_positive_rate"]
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7)
        ax.axvline(1.0 - specificity, color=SECOND, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.fill_between(grid, mean["ci_low"], mean["ci_high"], color=BAND, linewidth=0, zorder=1)
        for _, seed in rows[rows["seed"] != "mean"].groupby("seed", sort=False):
            ax.plot(grid, seed["true_positive_rate"], color=GREY, **_THIN)
        if reference is not None and reference != arm:
            other = means.loc[means["arm"] == reference, "true_positive_rate"]
            if len(other) == len(grid):
                ax.plot(grid, other, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=3)
        ax.plot(grid, mean["true_positive_rate"], color=ACCENT, **_BOLD)
        ax.text(
            0.98,
            0.04,
            auc_texts.get(arm, ""),
            ha="right",
            va="bottom",
            transform=ax.transAxes,
            fontsize=FONT_SIZE - 0.5,
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.0},
        )
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        _share_ticks(ax)
    description = (
        f"ROC curves of {counted(len(arms), 'arm')} on {cohort}: each seed as a thin line, the "
        f"mean over the seeds as a bold line with a 95% band. AUC: {_listed(auc_texts, arms)}."
    )
    drawing = draw(figure, key, f"ROC curves: {cohort}", description)
    drawn = set()
    if len(set(data["seed"]) - {"mean"}) > 1:
        drawn.add("seeds")
    if reference in arms and len(arms) > 1:
        drawn.add("reference")
    return ReportFigure(key, "roc", cohort, drawing, data, frozenset(drawn))


def reliability_panels(data: pd.DataFrame, key: str, cohort: str) -> ReportFigure:
    """Draw the reliability before and after temperature scaling, with the histogram (F3)."""
    arms = list(dict.fromkeys(data["arm"]))
    figure, panels = small_multiples(
        arms,
        PANEL_WIDTH,
        x_label="Predicted probability",
        y_labels=("Observed share of positives",),
    )
    for (ax,), arm in zip(panels, arms, strict=True):
        rows = data[data["arm"] == arm]
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7)
        before, after = (
            rows[(rows["recalibration"] == name) & (rows["count"] > 0)]
            for name in ("none", "temperature")
        )
        _histogram(ax, before, GREY, filled=True)
        _histogram(ax, after, ACCENT, filled=False)
        ax.plot(
            before["predicted"],
            before["observed"],
            color=GREY,
            linewidth=0.9,
            marker="o",
            markersize=3.5,
            markerfacecolor="white",
            linestyle=(0, (3, 2)),
            zorder=3,
        )
        if len(after):
            spread = np.clip(
                [after["observed"] - after["ci_low"], after["ci_high"] - after["observed"]],
                0.0,
                None,
            )
            ax.errorbar(
                after["predicted"],
                after["observed"],
                yerr=spread,
                color=ACCENT,
                linewidth=1.3,
                elinewidth=0.6,
                marker="o",
                markersize=3.5,
                zorder=4,
            )
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _share_ticks(ax)
    drawn = _scaled(data)
    after = (
        " and after temperature scaling on own validation (filled circles, Wilson 95% bars)"
        if drawn
        else " recalibration"
    )
    description = (
        f"Reliability diagrams of {counted(len(arms), 'arm')} on {cohort}, before (open circles, "
        f"dashed){after}, with a histogram of the probabilities along the bottom. The table of "
        "calibration states ECE, intercept and slope."
    )
    drawing = draw(figure, key, f"Reliability: {cohort}", description)
    return ReportFigure(key, "reliability", cohort, drawing, data, drawn)


def decision_panels(data: pd.DataFrame, key: str, cohort: str) -> ReportFigure:
    """Draw the net benefit against treating all and treating none (F4)."""
    arms = list(dict.fromkeys(data["arm"]))
    figure, panels = small_multiples(
        arms, PANEL_WIDTH * 0.85, x_label="Threshold probability", y_labels=("Net benefit",)
    )
    top = float(data[["net_benefit", "treat_all"]].max().max())
    for (ax,), arm in zip(panels, arms, strict=True):
        rows = data[data["arm"] == arm]
        first = rows[rows["recalibration"] == "none"]
        after = rows[rows["recalibration"] == "temperature"]
        ax.axhline(0.0, color=GREY, linewidth=0.7)
        ax.plot(
            first["threshold"],
            first["treat_all"],
            color=GREY,
            linewidth=0.8,
            linestyle=(0, (1, 1.5)),
        )
        ax.plot(
            first["threshold"],
            first["net_benefit"],
            color=INK,
            linewidth=0.9,
            linestyle=(0, (4, 2)),
        )
        ax.plot(after["threshold"], after["net_benefit"], color=ACCENT, **_BOLD)
        ax.set_xticks([0.0, 0.2, 0.4])
        ax.set(xlim=(0.0, 0.6), ylim=(-0.25 * max(top, 0.05), 1.1 * max(top, 0.05)))
    drawn = _scaled(data)
    after = " and after temperature scaling on own validation (solid)" if drawn else ""
    description = (
        f"Decision curves of {counted(len(arms), 'arm')} on {cohort}: net benefit before "
        f"recalibration (dashed){after}, against treating all (dotted) and none (zero)."
    )
    drawing = draw(figure, key, f"Decision curves: {cohort}", description)
    return ReportFigure(key, "decision", cohort, drawing, data, drawn)


def learning_panels(data: pd.DataFrame) -> ReportFigure:
    """Draw loss, validation AUC and known accuracies by epoch; a dot marks the kept epoch."""
    arms = list(dict.fromkeys(data["arm"]))
    accuracies = ("Accuracy",) if "train_accuracy" in data else ()
    figure, panels = small_multiples(
        arms,
        PANEL_WIDTH * 0.7,
        rows_per_name=2 + len(accuracies),
        x_label="Epoch",
        y_labels=("Loss", "Validation AUC", *accuracies),
    )
    for (loss, auc, *others), arm in zip(panels, arms, strict=True):
        for _, run in data[data["arm"] == arm].groupby(["seed", "fold"], sort=False):
            kept = run[run["kept"]]
            loss.plot(run["epoch"], run["train_loss"], color=FAINT, linewidth=0.9)
            loss.plot(run["epoch"], run["validation_loss"], color=INK, linewidth=0.9)
            loss.plot(kept["epoch"], kept["validation_loss"], "o", color=INK, markersize=3)
            auc.plot(run["epoch"], run["validation_auc"], color=ACCENT, linewidth=0.9)
            auc.plot(kept["epoch"], kept["validation_auc"], "o", color=ACCENT, markersize=3)
            for accuracy in others:
                accuracy.plot(run["epoch"], run["train_accuracy"], color=FAINT, linewidth=0.9)
                accuracy.plot(run["epoch"], run["validation_accuracy"], color=INK, linewidth=0.9)
                accuracy.plot(
                    kept["epoch"], kept["validation_accuracy"], "o", color=INK, markersize=3
                )
        for ax in (loss, auc, *others):
            ax.grid(axis="y", color=RULE, linewidth=0.5)
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    description = (
        f"Training of {counted(len(arms), 'arm')}, one line for each run: loss on training (pale) "
        "and validation (dark) images, and below it the AUC on validation images"
        f"{', then the accuracy on both' if accuracies else ''}. A dot marks the epoch whose model "
        "was kept."
    )
    drawing = draw(figure, "learning", "Learning curves", description)
    return ReportFigure("learning", "learning", "", drawing, data)


def _histogram(ax: Axes, rows: pd.DataFrame, colour: str, *, filled: bool) -> None:
    """Draw the shares of cases in the bins along the bottom, the fullest a fifth high."""
    if rows.empty:
        return
    share = 0.2 * rows["count"] / rows["count"].max()
    ax.bar(
        rows["bin_low"],
        share,
        width=rows["bin_high"] - rows["bin_low"],
        align="edge",
        facecolor="#e6e9ec" if filled else "none",
        edgecolor="none" if filled else colour,
        linewidth=0.5,
        zorder=1,
    )


def _scaled(data: pd.DataFrame) -> frozenset[str]:
    """Return `temperature` where curves after temperature scaling are drawn."""
    return frozenset({"temperature"} & set(data["recalibration"]))


def _share_ticks(ax: Axes) -> None:
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _listed(texts: Mapping[str, str], arms: list[str]) -> str:
    found = [f"{arm} {texts[arm].removeprefix('AUC ')}" for arm in arms if arm in texts]
    return "; ".join(found) if found else "see the table"
