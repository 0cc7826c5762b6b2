"""The table at the end of `up`, `status` and `rollback`: one row a function."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One function; "-" where a column has nothing to say."""

    function: str
    state: str
    port: str = "-"
    image: str = "-"
    provider: str = "-"
    version: str = "-"
    sha256: str = "-"
    ms: str = "-"
    remark: str = "-"

    @property
    def failed(self) -> bool:
        """It is not served as it should be."""
        return self.state == "failed"


def show(rows: Sequence[Row]) -> None:
    """Print the rows, aligned, under a head; of a SHA-256 the first twelve digits."""
    table = [Row._fields, *(row._replace(sha256=row.sha256[:12]) for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
        print("  ".join(padded).rstrip(), flush=True)


def _width(text: str) -> int:
    # Chinese letters take two columns of a terminal.
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
