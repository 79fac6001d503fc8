"""Which users the driver of a cluster reads itself: a sample by their ids, the same everywhere.

A user is in the sample when the first eight hex digits of the md5 of their id come before a bound.
So one user is in it on every date and in every table, or in none, whatever else is known of them.
"""

from __future__ import annotations

from typing import Final

from ..spec.expressions import quote_text

USER_TABLES: Final = ("user_features", "outcomes", "user_details", "experiment_units")
_DIGITS: Final = 8


def sample_bound(users: int, most: int | None) -> str:
    """Return the bound that leaves about `most` of so many users; empty where all may stay.

    >>> sample_bound(1_000_000, 250_000), sample_bound(10, 250_000), sample_bound(10, None)
    ('40000000', '', '')
    """
    if most is None or users <= most:
        return ""
    return f"{most * 16**_DIGITS // users:0{_DIGITS}x}"


def sample_told(users: int, bound: str) -> str:
    """Return what figures of a sample say of it; empty where everybody is there.

    >>> sample_told(1_000_000, "40000000")
    'measured on a sample: about 250,000 of 1,000,000 users'
    """
    if not bound:
        return ""
    share = int(bound, 16) / 16**_DIGITS
    return f"measured on a sample: about {round(users * share):,} of {users:,} users"


def in_sample(column: str, bound: str) -> str:
    """Return the SQL condition that a user id is in the sample, the same in every dialect.

    >>> in_sample("user_id", "40000000")
    "substr(md5(user_id), 1, 8) < '40000000'"
    """
    return f"substr(md5({column}), 1, {_DIGITS}) < {quote_text(bound)}" if bound else "true"
