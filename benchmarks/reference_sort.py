"""Read a snapshot's scorecard columns into NumPy and sort one: the least that ranking can cost."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow.parquet as pq


def main(path: str, *columns: str) -> None:
    """Read the columns of a Parquet file and argsort the last one."""
    table = pq.read_table(path, columns=["user_id", *columns])
    matrix = [table.column(name).to_numpy() for name in table.column_names]
    np.argsort(matrix[-1])


if __name__ == "__main__":
    main(*sys.argv[1:])
