"""What `compare` cuts: scores at a threshold, and limits where no difference can lie."""

from __future__ import annotations

import numpy as np

from mammoshift.commands.chosen_curves import as_probable_logits
from mammoshift.commands.compare_metrics import At


def test_a_probability_that_equals_the_threshold_reaches_it() -> None:
    thresholds = np.arange(1, 1000) / 1000.0
    scores = as_probable_logits(thresholds, "scores")
    cuts = [At(threshold=t, of_probabilities=True).cut for t in thresholds.tolist()]
    assert (scores >= np.array(cuts)).all()
    assert not (scores[:-1] >= np.array(cuts[1:])).any()
