"""What did not become an image, and why: one row of the quality-control table.

Standard library only: adapters, which the configuration reads, use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ReasonCode = Literal[
    "bad_header",
    "bad_name",
    "bad_region",
    "bad_row",
    "bad_table",
    "contradiction",
    "duplicate",
    "left_out_by_option",
    "missing_file",
    "no_label",
    "no_row",
    "not_an_image",
    "repeated_row",
    "unreadable",
]
"""Why something was left out, as one word that can be counted.

bad_header          the file's own header lacks patient, side or view where nothing else tells
bad_name            a file's name is not one of the archive
bad_region          a region on an image cannot be used; the image itself is
bad_row             a row of a table is not understood, or belongs to an image with such a row
bad_table           a table or report that is not needed cannot be used
contradiction       name, number and table say different things
duplicate           the same image is there already
left_out_by_option  a setting of the dataset leaves it out
missing_file        a table names an image that is not there
no_label            the archive gives no label, and a setting leaves such images out
no_row              an image that no usable row of a table names
not_an_image        a mask or crop where an image should be
repeated_row        a second row for the same image
unreadable          the file cannot be read or decoded
"""

QC_COLUMNS = ("dataset", "path", "stage", "reason", "code")


@dataclass(frozen=True)
class Exclusion:
    """One file or table row that did not become an image, and why.

    `stage` is `ingest` or `preprocess` for a loss, and `selection` for what was left out on
    purpose, such as a second copy of a film; only losses count towards `maximum_lost_share`.
    `reason` says it in a sentence, `code` in one word.
    """

    dataset: str
    path: str
    stage: str
    reason: str
    code: ReasonCode = "unreadable"
