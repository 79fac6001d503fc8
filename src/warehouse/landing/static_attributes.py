"""Attributes that were declared static and are not: what they are now may know the outcome.

A static attribute is taken as known at any time. One that changes (a lead's status, set to "won"
at conversion) is then a leak that ranks well on every past date and on no future one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...spec.expressions import quote_name, quote_text
from ...spec.model import Spec
from ..base import Warehouse
from ..dialects import translate
from .load import landing_tables


def changing_attributes(spec: Spec, warehouse: Warehouse) -> Mapping[str, int]:
    """Return for how many users a static attribute has more than one value, by name, if for any.

    Raises WarehouseError when the warehouse cannot be read.
    """
    static = [name for name, attribute in spec.users.attributes.items() if attribute.static]
    found: dict[str, int] = {}
    with warehouse.reading() as con:
        if not static or "users" not in landing_tables(con, spec):
            return found
        for name in static:
            json_path = '$."' + name.replace('"', "") + '"'
            value = f"json_extract_string(attributes, {quote_text(json_path)})"
            sql = (
                "select count(*) from (select user_id, count(distinct value) as told from ("
                f"select user_id, {value} as value from {quote_name(spec.landing_schema)}.users"
                ") as each_row group by user_id) as each_user where told > 1"
            )
            row = con.execute(translate(sql, warehouse.dialect)).fetchone()
            if row and row[0]:
                found[name] = int(row[0])
    return found


def changing_lines(changing: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning for each static attribute that changes.

    >>> next(changing_lines({"lead_status": 3}))[:62]
    'users.attributes.lead_status is declared static, and 3 users h'
    """
    for name, users in changing.items():
        who = "1 user has" if users == 1 else f"{users:,} users have"
        yield (
            f"users.attributes.{name} is declared static, and {who} more than one value of it: "
            "what it is now may know the outcome; write static = false and give a valid_from, or "
            "leave its feature out of training (training.exclude)"
        )
