"""What all parts of a spec share: their base, and what names, texts and durations look like."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .durations import parse_days, parse_duration

MOST_LETTERS: Final = 48
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


def named(most: int) -> Callable[[str], str]:
    """Return a check of names with at most so many characters.

    >>> named(8)("views")
    'views'
    """

    def check(text: str) -> str:
        if NAME.fullmatch(text) is None or len(text) > most:
            raise ValueError(
                f"{text!r} is not a name: use small letters, digits and _, starting with a letter, "
                f"at most {most} characters"
            )
        return text

    return check


def _days(text: str) -> str:
    parse_days(text)
    return text


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Name = Annotated[str, AfterValidator(named(MOST_LETTERS))]
Days = Annotated[str, AfterValidator(_days)]
Duration = Annotated[str, AfterValidator(_duration)]
Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """Base of every part of a spec: frozen; unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)
