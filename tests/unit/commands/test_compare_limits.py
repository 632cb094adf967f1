"""What `compare` cuts: scores at a threshold, and limits where no difference can lie."""

from __future__ import annotations

import numpy as np

from mammoshift.commands.chosen_curves import as_probable_logits
from mammoshift.commands.compare_metrics import At
from mammoshift.commands.compare_report import Wishes, combined_row, with_verdicts
from mammoshift.statistics.comparisons import combined, difference_test


def test_a_probability_that_equals_the_threshold_reaches_it() -> None:
    thresholds = np.arange(1, 1000) / 1000.0
    scores = as_probable_logits(thresholds, "scores")
    cuts = [At(threshold=t, of_probabilities=True).cut for t in thresholds.tolist()]
    assert (scores >= np.array(cuts)).all()
    assert not (scores[:-1] >= np.array(cuts[1:])).any()


def test_the_limits_of_one_verdict_are_those_of_its_interval() -> None:
    """Two seeds leave an interval of a loss that is wider than losses can be."""
    test = combined("seeds_random", difference_test(0.02, 0.5**2, 1.0, df=1.0))
    wishes = Wishes(margin=0.05, source="home")
    (row,) = with_verdicts([combined_row("clinic", "a", "", test)], [test], wishes, True)
    assert (row["ci_low"], row["ci_high"]) == (-1.0, 1.0)
    assert (row["verdict_low"], row["verdict_high"]) == (-1.0, 1.0)
    assert row["verdict"] == "undecided"
