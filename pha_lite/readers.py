"""Rows of a file, each with the words "file, row" for the error that may follow.

Three layouts cover all benchmarks: tab-separated, JSON lines and quoted CSV, plain or gzipped.
Lines are read as bytes and decoded one by one, so that a bad byte is named with its row; only a
line feed ends a line (Python's text mode would also break lines at characters that occur *inside*
SST-2). A row's number is its line in the file, the header being row 1.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import DataError

Row = tuple[str, dict]  # ("train.tsv, row 7", {column: value})


def read_rows(
    path: Path, header: Sequence[str] | None = None, skip_broken: bool = False
) -> Iterator[Row]:
    """The rows of a `.tsv`, `.txt`, `.csv`, `.jsonl` or `.json` file, or one of these with `.gz`.

    Args:
        path: the file.
        header: column names of a tab- or comma-separated file that has no header line.
        skip_broken: leave out tab-separated rows of a wrong width instead of stopping at the first.

    Raises:
        DataError: the file cannot be read, a byte is not UTF-8, or a row does not fit the layout.
    """
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix in (".jsonl", ".json"):
        return _json_lines(path)
    if suffix == ".csv":
        return _csv(path, header)
    return _tsv(path, header, skip_broken)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                where = f"{path}, row {number}"
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{where}: byte 0x{line[error.start]:02x} at position {error.start + 1} "
                        "is not UTF-8; convert the file to UTF-8"
                    ) from None
                yield where, text.rstrip("\r\n")
    except (OSError, EOFError, zlib.error) as error:  # gzip reports damage as any of the three
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}, after row {number}: cannot be read: {reason}") from error


def _tsv(path: Path, header: Sequence[str] | None, skip_broken: bool) -> Iterator[Row]:
    """Tab-separated without quoting: a quotation mark is a character like any other."""
    for where, line in _lines(path):
        if not line:
            continue
        fields = line.split("\t")
        if header is None:
            header = fields
        elif len(fields) == len(header):
            yield where, dict(zip(header, fields, strict=True))
        elif not skip_broken:
            raise DataError(f"{where}: {len(fields)} tab-separated fields, expected {len(header)}")


def _csv(path: Path, header: Sequence[str] | None) -> Iterator[Row]:
    where = f"{path}, row 1"

    def tracked() -> Iterator[str]:
        nonlocal where
        for where, line in _lines(path):  # noqa: B007 (read by the loop below)
            yield line + "\n"

    try:
        for fields in csv.reader(tracked(), strict=True):
            if header is None:
                header = fields
            elif fields:
                if len(fields) != len(header):
                    raise DataError(f"{where}: {len(fields)} fields, expected {len(header)}")
                yield where, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise DataError(f"{where}: not well-formed CSV: {error}") from None


def _json_lines(path: Path) -> Iterator[Row]:
    for where, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not JSON: {error.msg} at column {error.colno}") from None
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected a JSON object, found {type(row).__name__}")
        yield where, row


# -- finding files --------------------------------------------------------------------------------


def find(folder: Path, name: str) -> Path | None:
    """`folder/name` (name may have slashes), the case and punctuation of names being free.

    `SST-2`, `sst2` and `SST_2` are the same folder; an exact match goes first.
    """
    for part in filter(None, name.split("/")):
        if not folder.is_dir():
            return None
        exact = folder / part
        alike = [p for p in sorted(folder.iterdir()) if _plain(p.name) == _plain(part)]
        folder = exact if exact in alike else alike[0] if alike else exact
    return folder if folder.exists() else None


def find_any(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of `names` that `folder` has as a file."""
    found = (find(folder, name) for name in names)
    return next((path for path in found if path is not None and path.is_file()), None)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum() or c == ".")
