"""Passwords and tokens taken out of what is said: the last thing before a message is shown.

The code that makes a message shows addresses without their secrets already; this catches what a
library or a server quotes in its own words, and addresses that are written wrongly.
"""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = "***"
_QUOTED: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_NAMES: Final = (
    r"(?:password|passwd|pwd|passphrase|token|secret|signature|credential"
    r"|(?:api|access|account|private)[_-]?key|\b(?:pass|pw|sig)(?=[\s=:'\"]))"
)
_RULES: Final = (
    # A web address has no user's name of whyrank's: what stands before the @ is a token.
    (re.compile(r"(https?://)[^\s/@:?#'\"]+@", re.IGNORECASE), rf"\1{_MARK}@"),
    # scheme://name:password@host; an unencoded password may hold anything but blanks, @ and / too.
    (re.compile(r"(?<=//)([^\s/@:\[]*):(\S*)@"), rf"\1:{_MARK}@"),
    # The same with blanks in the password; what begins with a port is none.
    (re.compile(r"(?<=//)([^\s/@:\[]*):(?!\d+\b)([^\s/][^\n@]*)@(?=[\w.\[-])"), rf"\1:{_MARK}@"),
    # password=…, "token": …, in libpq's words, in a query or in JSON.
    (
        re.compile(rf"({_NAMES}[\w.-]*(?:\s*=\s*|['\"]\s*:\s*))({_QUOTED}|[^\s&]+)", re.IGNORECASE),
        rf"\1{_MARK}",
    ),
    # password: …, and --password …, as people and commands write it.
    (
        re.compile(
            rf"((?<![\w.'\"-])(?:password|passwd|passphrase|secret):\s+|--{_NAMES}\s+)"
            rf"({_QUOTED}|\S+)",
            re.IGNORECASE,
        ),
        rf"\1{_MARK}",
    ),
    (re.compile(r"((?:bearer|authorization\W+basic)\s+)\S{8,}", re.IGNORECASE), rf"\1{_MARK}"),
    # name:password@host without a scheme.
    (re.compile(r"(?<![\w/:.])([\w.+-]+):([^\s:/@'\"]\S*)@(?=[\w.\[-])"), rf"\1:{_MARK}@"),
)


def scrub(text: str) -> str:
    """Return a message without the secrets in it.

    >>> scrub("postgresql://ana:se/cr@et@db/runs cannot be reached")
    'postgresql://ana:***@db/runs cannot be reached'
    >>> scrub("host=db password='a b' user=ana")
    'host=db password=*** user=ana'
    >>> scrub("http://db:5000/?token=abc&x=1 and ana:secret@db/x")
    'http://db:5000/?token=***&x=1 and ana:***@db/x'
    >>> scrub("row 12:30 of ana@example.com")
    'row 12:30 of ana@example.com'
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
