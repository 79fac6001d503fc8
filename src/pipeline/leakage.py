"""Run the leakage sentinels on a training: its last test, and the log behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

from ..evaluation.sentinels import (
    Sentinel,
    future_events,
    pure_noise,
    shuffled_labels,
    too_good,
)
from ..features.compiler import compile_features
from ..models.classifier import RankingClassifier
from ..models.encoding import Encoding, Matrix
from ..scorer import Floats
from ..spec.expressions import quote_name, quote_text
from ..spec.model import Spec
from ..warehouse.direct import run_models
from ..warehouse.engine import Warehouse
from ..warehouse.landing import create_landing
from ..warehouse.project import landing_schema, marts_schema, render_project
from .fold_fits import Fits
from .training_data import Course, read_labelled, user_codes

Bools = NDArray[np.bool_]
_QUICK = {"n_estimators": 60, "learning_rate": 0.1}


def watch(
    spec: Spec, warehouse: Warehouse, course: Course, fits: Fits, *, seed: int
) -> tuple[Sentinel, ...]:
    """Run every sentinel on the last test; each says what it saw."""
    fold = course.folds[-1]
    test = fits.parts[-1]
    train = [read_labelled(spec, course, day) for day in fold.train]
    rng = np.random.default_rng([seed, 1])
    labels = np.concatenate([part.labels for part in train])
    day = np.repeat(np.arange(len(train)), [len(part.labels) for part in train])
    numbers = Encoding(course.plan.numbers)
    matrix = np.concatenate([numbers.matrix(part.table) for part in train])
    *users, tested = user_codes([part.table.user_ids for part in (*train, test)])
    return (
        shuffled_labels(
            _fit, (matrix, labels, day), (numbers.matrix(test.table), test.labels), rng=rng
        ),
        pure_noise(_fit, (labels, np.concatenate(users)), (test.labels, tested), rng=rng),
        too_good(
            {name: test.table.numbers(name) for name in course.plan.numbers},
            fits.scores[-1].margins,
            test.labels,
            suspect_auc=spec.training.suspect_auc,
        ),
        future_invariance(spec, warehouse, course, fold.test),
    )


def future_invariance(spec: Spec, warehouse: Warehouse, course: Course, as_of: date) -> Sentinel:
    """Build the test's snapshot again from a log that ends before it, and compare feature by
    feature with the one that was built from the whole log.
    """
    landing, marts = landing_schema(spec), marts_schema(spec)
    files = render_project(spec, compile_features(spec), [as_of])
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, spec)
        con.execute(f"attach {quote_text(str(warehouse.path))} as whole (read_only)")
        for table, until in (("events", "event_time"), ("users", None), ("aliases", "linked_at")):
            name = f"{quote_name(landing)}.{table}"
            where = f" where {until} < timestamp {quote_text(str(as_of))}" if until else ""
            con.execute(f"insert into {name} by name select * from whole.{name}{where}")
        con.execute("detach whole")
        run_models(con, files, schema=marts, landing=landing)
        source = f"read_parquet({quote_text(str(course.published.snapshot(as_of)))})"
        names = [feature.name for feature in spec.features]
        differ = ", ".join(
            f"count(*) filter (where a.{quote_name(n)} is distinct from b.{quote_name(n)})"
            for n in names
        )
        found = con.execute(
            f"select count(*), {differ} from {source} as a "
            f"full join {quote_name(marts)}.user_features as b using (user_id)"
        ).fetchone()
    counts = found or (0,)
    changed = dict(zip(names, (int(count) for count in counts[1:]), strict=False))
    return future_events(changed, int(counts[0]), as_of.isoformat())


def _fit(matrix: Matrix, labels: Bools) -> Callable[[Matrix], Floats]:
    fitted = RankingClassifier("xgboost", params=_QUICK).fit(matrix, labels)

    def margin(other: Matrix) -> Floats:
        return fitted.decision_function(other)

    return margin
