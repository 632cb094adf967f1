from __future__ import annotations

import timm

from mammoshift.project.architectures import architecture_names, unknown_architecture


def test_names_read_from_the_sources_are_those_of_timm() -> None:
    assert architecture_names() == set(timm.list_models())


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    assert unknown_architecture("resnet50.a1_in1k") is None
    said = unknown_architecture("test_resnte")
    assert said is not None
    assert said.startswith("architecture 'test_resnte' is not known to timm; did you mean test_res")
