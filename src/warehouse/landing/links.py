"""Whose an id became: links that made an anonymous id another person's, as a build knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ...errors import WarehouseError
from ...escapes import shown
from ...published.build import BuildInfo
from ...spec.expressions import quote_name
from ...spec.model import Spec
from ..base import Warehouse
from ..dialects import translate
from .load import landing_tables


@dataclass(frozen=True)
class Link:
    """An id that is another person's since a time, UTC."""

    raw_id: str
    user_id: str
    since: datetime

    def __str__(self) -> str:
        """Say so, fit for a terminal."""
        return f"{shown(self.raw_id)} is {shown(self.user_id)} since {self.since} UTC"


def link_of(
    spec: Spec, warehouse: Warehouse, info: BuildInfo, raw_id: str, day: date
) -> Link | None:
    """Return whose an id is in a build's snapshot of a date; None where no link speaks of it.

    Raises WarehouseError where it is several people's, one after the other, each of whom has a part
    of its events, and when the warehouse cannot be read now.
    """
    landing = quote_name(spec.landing_schema)
    sql = (
        f"select user_id, min(linked_at) from {landing}.aliases where anonymous_id = ? "
        f"and linked_at < timestamp '{day}' and load_id <= {int(info.last_load)} "
        "group by user_id order by 2, 1"
    )
    with warehouse.reading() as con:
        if "aliases" not in landing_tables(con, spec):
            return None
        found = con.execute(translate(sql, warehouse.dialect), [raw_id]).fetchall()
    links = [Link(raw_id, str(user_id), since) for user_id, since in found]
    if len(links) > 1:
        people = ", ".join(f"{link.user_id!r} since {link.since} UTC" for link in links)
        raise WarehouseError(
            f"{raw_id!r} was linked to {len(links)} people, each of whom has what came after their "
            f"link: {people}: explain one of them"
        )
    return links[0] if links else None
