"""Models that earlier versions had under other names: a full build drops their tables and views."""

from __future__ import annotations

from typing import Final

from ...spec.expressions import quote_name, quote_text
from ...spec.model import Spec
from ..contracts import Connection

FORMER_MODELS: Final = ("touched_events", "touched_attributes", "touched_users")


def drop_former_models(con: Connection, spec: Spec) -> None:
    """Drop what earlier versions of whyrank made in the marts' schema under names of theirs.

    Only for a full build: the models have other SQL now. Postgres drops views that read them, too,
    as it does when dbt replaces a model. Other relations stay.
    """
    names = ", ".join(map(quote_text, FORMER_MODELS))
    found = con.execute(
        "select table_name, table_type from information_schema.tables "
        f"where table_schema = ? and table_name in ({names})",
        [spec.marts_schema],
    ).fetchall()
    kinds = {name: "view" if kind == "VIEW" else "table" for name, kind in found}
    for name in FORMER_MODELS:  # views first: they read the table
        if name in kinds:
            relation = f"{quote_name(spec.marts_schema)}.{quote_name(name)}"
            con.execute(f"drop {kinds[name]} if exists {relation} cascade")
