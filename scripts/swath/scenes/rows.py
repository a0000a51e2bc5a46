"""A scene table's rows, from CSV as spreadsheets write it, or GeoParquet. Standard library only, but for GeoParquet."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from swath.errors import Problem, UserError

COLUMNS = ("scene", "image", "labels", "split", "aoi")
WORDS = {
    "labels": ("labels", "label", "annotations", "annotation", "masks", "mask"),
    "split": ("split", "splits", "subset", "partition"),
    "aoi": ("aoi", "aois", "roi", "area"),
}
"""Optional column → words that a column which means it is named with."""
SEPARATORS = (",", ";", "\t", "|")
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        number: Its line in the file.
        entries: Column, in small letters → entry; empty where there is none.
    """

    number: int
    entries: dict[str, str]


def read_rows(file: Path, known: Collection[str] = COLUMNS) -> tuple[list[str], list[Row]]:
    """Read a table: its columns as they are written, and its rows but for empty ones.

    Args:
        file: The table.
        known: Columns, in small letters, by which the separator is found.

    Raises:
        UserError: For a file that is no UTF-8, a column that is there twice, and rows with more entries than columns.
    """
    if file.suffix in (".parquet", ".geoparquet"):
        return _parquet_rows(file)
    lines = _text_of(file).splitlines(keepends=True)
    skipped = 1 if lines and re.match(r"sep=.?\s*$", lines[0]) else 0  # Excel's word on its separator
    lines = lines[skipped:]
    reader = csv.reader(lines, delimiter=_separator(lines[0] if lines else "", known))
    columns = [name.strip() for name in next(reader, [])]
    while columns and not columns[-1]:
        columns.pop()
    _check_columns(file, columns)
    rows, problems = [], []
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        number = reader.line_num + skipped
        if any(cells[len(columns) :]):
            found = f"{len(cells)} entries, the last {next(cell for cell in reversed(cells) if cell)!r}"
            cure = "put entries that hold a separator in quotes"
            problems.append(Problem("row_too_long", f"{file}:{number}", "", found, f"{len(columns)} entries", cure))
        elif any(cells):
            entries = {name.lower(): cell for name, cell in zip(columns, cells, strict=False)}
            rows.append(Row(number, {name.lower(): "" for name in columns} | entries))
    if problems:
        raise UserError(problems)
    return columns, rows


def unread_columns(columns: Sequence[str]) -> dict[str, str]:
    """Find columns that nobody reads, though they look like an optional one that is not there: column → that one."""
    known = {name.lower() for name in columns}
    found = {}
    for column in columns:
        if column.lower() not in COLUMNS:
            words = set(re.split(r"[^a-z]+", column.lower()))
            meant = next((name for name, names in WORDS.items() if name not in known and words & set(names)), None)
            if meant:
                found[column] = meant
    return found


def _text_of(file: Path) -> str:
    content = file.read_bytes()
    try:
        text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = f"byte 0x{content[error.start]:02x}, which is no {error.encoding.upper()}"
        raise UserError(_not_utf8(f"{file}:{line}", found)) from None
    if "\0" in text:
        raise UserError(_not_utf8(str(file), "zero bytes, as UTF-16 and spreadsheets have them"))
    return text


def _not_utf8(place: str, found: str) -> Problem:
    cure = "save it as UTF-8; in a spreadsheet: save as 'CSV UTF-8'"
    return Problem("wrong_encoding", place, "", found, "a CSV table in UTF-8", cure)


def _separator(header: str, known: Collection[str]) -> str:
    """Find the separator that makes most known columns of a header; a comma if none does."""

    def number(separator: str) -> int:
        names = next(csv.reader([header], delimiter=separator), [])
        return sum(name.strip().lower() in known for name in names)

    return max(SEPARATORS, key=number)


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    counts = Counter(name.lower() for name in columns if name)
    twice = [name for name, number in counts.items() if number > 1]
    if twice:
        found = ", ".join(name for name in columns if name.lower() in twice)
        raise UserError(
            Problem("column_twice", str(file), found, "", "each column once", "remove or rename one of them")
        )


def _parquet_rows(file: Path) -> tuple[list[str], list[Row]]:
    import pyarrow.parquet

    columns = pyarrow.parquet.read_schema(file).names
    _check_columns(file, columns)
    names = [name for name in columns if name.lower() in COLUMNS]
    rows = pyarrow.parquet.read_table(file, columns=names).to_pylist()
    texts = [{key.lower(): "" if value is None else str(value) for key, value in row.items()} for row in rows]
    return columns, [Row(number, row) for number, row in enumerate(texts, start=2)]
