"""The columns of a CSV or Parquet file of predictions, and where in the file a wrong value stands.

Everything in such a file is a stranger's: values are checked before use, and messages name the
line and the column, never an identifier.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mammoshift.errors import TableError

_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
_MESSAGE_CHARACTERS = 40


class PredictionFile:
    """The wanted columns, and where a row is in the file."""

    def __init__(self, path: Path, table: pa.Table) -> None:
        self.path = path
        self._table = table
        self.size = table.num_rows
        if self.size == 0:
            raise TableError(f"{path}: the table has no rows")

    def __contains__(self, name: str) -> bool:
        return name in self._table.column_names

    def texts(self, name: str, may_be_empty: bool = False) -> tuple[NDArray[np.intp], list[str]]:
        """Return the column as codes [rows] into the list of its texts."""
        codes, texts = self.identifiers(name, may_be_empty)
        return codes, texts.to_pylist()

    def identifiers(
        self, name: str, may_be_empty: bool = False
    ) -> tuple[NDArray[np.intp], pa.StringArray]:
        """Return the column as codes [rows] into its texts, which may be millions."""
        column = self._table.column(name)
        if pa.types.is_dictionary(column.type) and not pa.types.is_string(column.type.value_type):
            column = pc.cast(column, column.type.value_type)
        if pa.types.is_integer(column.type):
            # Numbers are told apart faster than their texts.
            column = column.dictionary_encode()
        elif not pa.types.is_dictionary(column.type):
            column = self._cast(name, column, pa.string(), "text").dictionary_encode()
        column = column.unify_dictionaries().combine_chunks()
        array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        texts = pc.fill_null(pc.cast(array.dictionary, pa.string()), "")
        texts = pa.concat_arrays([texts, pa.array([""], pa.string())])
        codes = pc.fill_null(array.indices, len(texts) - 1).to_numpy(zero_copy_only=False)
        codes = codes.astype(np.intp, copy=False)
        length = pc.call_function("binary_length", [texts])
        blank = length.to_numpy(zero_copy_only=False) == 0
        if not may_be_empty and blank[:-1].any() | (codes == len(texts) - 1).any():
            empty = np.flatnonzero(blank[codes])
            if empty.size:
                self.fail(int(empty[0]), name, "is empty", "give every row a value")
        return codes, texts

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of finite numbers."""
        values = self._cast(name, self._table.column(name), pa.float64(), "numbers").to_numpy()
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            what = "is missing or not a finite number"
            self.fail(int(wrong[0]), name, what, "score the case, or leave it out for every arm")
        return values

    def labels(self) -> NDArray[np.int8]:
        """Return the column `label`, 0 or 1."""
        codes, texts = self.texts("label")
        known = np.array([_LABELS.get(text.strip(), -1) for text in texts], dtype=np.int8)
        labels = known[codes]
        wrong = np.flatnonzero(labels < 0)
        if wrong.size:
            row = int(wrong[0])
            what = f"is {quoted(texts[codes[row]])}"
            self.fail(row, "label", what, "allowed are 0 (negative) and 1")
        return labels

    def _cast(
        self, name: str, column: pa.ChunkedArray, wanted: pa.DataType, what: str
    ) -> pa.ChunkedArray:
        try:
            return pc.cast(column, wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(
                f"{self.path}: column {name}: not a column of {what}; it holds {column.type}"
            ) from error

    def line(self, row: int) -> str:
        """Say where a row (from 0) is in the file."""
        if is_parquet(self.path):
            return f"row {row + 1}"
        for index, (line, _) in enumerate(_csv_records(self.path)):
            if index == row:
                return f"line {line}"
        return f"row {row + 1}"

    def fail(self, row: int, column: str, what: str, remedy: str) -> NoReturn:
        """Raise the error for a cell."""
        raise TableError(f"{self.path}: {self.line(row)}, column {column}: {what}; {remedy}")


def is_parquet(path: Path) -> bool:
    """Return whether a file is read as Parquet; any other is read as CSV."""
    return path.suffix.lower() in (".parquet", ".pq")


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns, each once.

    Raises
    ------
    TableError
        If the file cannot be read or a column occurs twice.
    """
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    if is_parquet(path):
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(f"{path}: this is not a readable Parquet file") from error
    else:
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                names = next(csv.reader(stream), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise TableError(f"{path}: this is not a CSV file in UTF-8") from error
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(f"{path}: column {quoted(repeated[0])} occurs twice; rename one")
    return list(names)


def read_columns(path: Path, columns: list[str]) -> PredictionFile:
    """Return some columns of a file, which it must have: `score` as numbers, others as text.

    Raises
    ------
    TableError
        If the file cannot be read; the message names the line.
    """
    return PredictionFile(path, _read(path, columns))


def _read(path: Path, columns: list[str]) -> pa.Table:
    if is_parquet(path):
        try:
            return pq.ParquetFile(path).read(columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(f"{path}: this is not a readable Parquet file") from error
    text = pa.dictionary(pa.int32(), pa.string())
    types = {name: pa.float64() if name == "score" else text for name in columns}
    try:
        return pacsv.read_csv(
            path,
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=columns, column_types=types, null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        _explain_csv(path)
        raise TableError(f"{path}: this cannot be read as comma-separated values") from error


def _explain_csv(path: Path) -> None:
    """Raise for the first record of a CSV file that has the wrong length or no number as score."""
    columns = column_names(path)
    score = columns.index("score")
    for line, record in _csv_records(path):
        if len(record) != len(columns):
            raise TableError(
                f"{path}: line {line}: {len(record)} values for {len(columns)} columns; put text "
                "that holds commas in double quotes"
            )
        try:
            finite = math.isfinite(float(record[score]))
        except ValueError:
            finite = False
        if not finite:
            raise TableError(
                f"{path}: line {line}, column score: {quoted(record[score])} is not a finite "
                "number; score the case, or leave it out for every arm"
            )


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which it ends, values) for each record below the header, blank lines aside."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            next(reader, None)
            for record in reader:
                if record:
                    yield reader.line_num, record
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: this is not a CSV file in UTF-8") from error


def quoted(text: str) -> str:
    """Return text from a file, shortened and with control characters escaped."""
    shown = text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS]}..."
    return repr(shown)
