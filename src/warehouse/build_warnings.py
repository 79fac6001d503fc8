"""What a build warns of: features without a value, and arms that differ in case alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from ..features.compiler import Compiled
from ..spec.expressions import quote_name
from ..spec.model import Spec
from .contracts import Connection


def undefined_values(con: Connection, spec: Spec, columns: Compiled, day: date) -> Iterator[str]:
    """Yield a line for each feature that is null for users of whom all that it reads is known."""
    if not columns.partial:
        return
    counts = []
    for feature in columns.partial:
        known = [f"{quote_name(name)} is not null" for name in feature.columns]
        undefined = " and ".join([f"{quote_name(feature.feature)} is null", *known])
        counts.append(f"sum(case when {undefined} then 1 else 0 end)")
    found = con.execute(
        f"select count(*), {', '.join(counts)} from {quote_name(spec.marts_schema)}.user_features "
        f"where as_of = date '{day}'"
    ).fetchone()
    users, *numbers = found or (0,)
    for feature, number in zip(columns.partial, numbers, strict=False):
        if number:
            yield (
                f"features.{feature.feature}: {feature.sql!r} has no finite value for {number:,} "
                f"of {users:,} users as of {day}; it is null for them, and gives no points"
            )


def alike_arms(con: Connection, spec: Spec) -> Iterator[str]:
    """Yield a line for each pair of arms of one experiment that differ in case alone."""
    if not spec.experiments:
        return
    found = con.execute(
        "select experiment_id, min(variant), max(variant) "
        f"from {quote_name(spec.marts_schema)}.experiment_exposures "
        "group by experiment_id, lower(variant) having count(distinct variant) > 1 order by 1, 2"
    ).fetchall()
    for experiment, one, other in found:
        yield (
            f"experiment {experiment!r} has the arms {one!r} and {other!r}, which differ in case "
            "alone: users who saw both count as mixed; write them alike in the log"
        )
