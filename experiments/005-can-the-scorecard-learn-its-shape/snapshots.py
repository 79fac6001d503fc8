"""Write the snapshots of every fold as Parquet, for a scorecard fitted elsewhere.

Usage: python snapshots.py SPEC WAREHOUSE FOLDS FOLDER [AS_OF]
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from whyrank.cli.options import open_both
from whyrank.pipeline.backtest import plan_backtest
from whyrank.training.datasets import Labelled, read_labelled


def main(spec_name: str, url: str, folds: int, folder: Path, as_of: date | None) -> None:
    """Write FOLDER/<test>-train.parquet and -test.parquet: features that models read, converted."""
    spec, warehouse = open_both(spec_name, url)
    backtest = plan_backtest(spec, warehouse, as_of=as_of, folds=folds, log=print)
    folder.mkdir(parents=True, exist_ok=True)

    def table(part: Labelled) -> pa.Table:
        columns = {name: part.table.numeric(name) for name in backtest.plan.numeric}
        for name in backtest.plan.categorical:
            codes, texts = part.table.categorical(name)
            columns[name] = pa.array([texts[code] if code >= 0 else None for code in codes])
        return pa.table({**columns, "converted": part.labels})

    for fold in backtest.folds:
        train = pa.concat_tables([table(read_labelled(spec, backtest, day)) for day in fold.train])
        pq.write_table(train, folder / f"{fold.cutoff}-train.parquet")
        pq.write_table(
            table(read_labelled(spec, backtest, fold.cutoff)),
            folder / f"{fold.cutoff}-test.parquet",
        )


if __name__ == "__main__":
    name, url, folds, folder, *rest = sys.argv[1:]
    main(name, url, int(folds), Path(folder), date.fromisoformat(rest[0]) if rest else None)
