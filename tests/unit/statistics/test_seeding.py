from __future__ import annotations

import numpy as np
import pytest

from mammoshift.errors import StatisticsError
from mammoshift.statistics.seeding import generator_for


def test_the_stream_belongs_to_the_name() -> None:
    again = generator_for("cmmd", "resnet50", "auc").random(5)
    assert np.array_equal(generator_for("cmmd", "resnet50", "auc").random(5), again)
    assert not np.array_equal(generator_for("cmmd", "resnet50", "ece").random(5), again)


def test_the_stream_is_the_same_on_every_machine() -> None:
    drawn = generator_for("cmmd", "auc").integers(0, 1_000_000, 4).tolist()
    assert drawn == [132362, 822224, 11064, 737690]


def test_the_border_between_parts_matters() -> None:
    a, b = generator_for("a", "bc").random(3), generator_for("ab", "c").random(3)
    assert not np.array_equal(a, b)


def test_no_name_is_refused() -> None:
    with pytest.raises(StatisticsError, match="at least one name"):
        generator_for()
