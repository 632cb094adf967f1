"""Tables as LaTeX: escaped, whole, aligned."""

from __future__ import annotations

import re

import pandas as pd

from mammoshift.report.latex import escaped, latex_table
from mammoshift.report.publication import PublicationTable

HOSTILE = r"\input{/etc/passwd} a_b & 5% $x$ #1 ~ ^ {z} <p> |"


def test_no_character_stays_special() -> None:
    text = escaped(HOSTILE + "\n\x07\u2212\u2013")
    assert "\x07" not in text
    bare = re.sub(r"\\[&%$#_{}]|\\text[a-z]+\{\}|\$-\$", "", text)
    assert not re.search(r"[\\&%$#_{}~^<>|]", bare)
    assert "input" in bare
    assert "etc/passwd" in bare


def test_a_table_has_its_rows_columns_and_heads() -> None:
    cells = pd.DataFrame(
        {
            "Domain": ["film", "film", "digital"],
            "Arm": ["a", "b", "a"],
            "AUC (95% CI)": ["0.8", "0.7", HOSTILE],
            "Note": ["", "w" * 40, ""],
        }
    )
    table = PublicationTable("auc_detail", cells, 2, frozenset({"Note"}))
    text = latex_table(table, "AUC & more", "100% noted.")
    assert r"\caption{AUC \& more}" in text
    assert r"\begin{tabular}{llrp{3.2cm}}" in text
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 4
    assert all(len(re.findall(r"(?<!\\)&", row)) == 3 for row in rows)
    assert [row.split(" & ")[0] for row in rows] == ["Domain", "film", "", "digital"]
    assert text.count(r"\begin") == text.count(r"\end") == 2
