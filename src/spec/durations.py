"""Durations as specs and the command line write them: a whole number and a unit."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PATTERN = re.compile(r"([1-9][0-9]{0,5})([smhdw])")


def parse_duration(text: str) -> timedelta:
    """Read a duration such as "30d", "30m" or "12h".

    Units: s seconds, m minutes, h hours, d days of 24 hours, w weeks. Raises ValueError naming
    the text and the form expected.

    >>> parse_duration("30m")
    datetime.timedelta(seconds=1800)
    >>> parse_duration("60d").days
    60
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a duration: write a whole number and a unit (s, m, h, d or w), "
            'such as "30d"'
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_days(text: str) -> int:
    """Read a duration that must be whole days, and return the days.

    >>> parse_days("8w")
    56
    """
    duration = parse_duration(text)
    if duration.seconds:
        raise ValueError(f"{text!r} is not a whole number of days: write it in d or w")
    return duration.days
