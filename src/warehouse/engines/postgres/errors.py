"""Postgres's errors as one line each, with what to do about them."""

from __future__ import annotations

from collections.abc import Mapping


def advice(message: str) -> str:
    """Return one line of advice for an error message of Postgres's.

    >>> advice("connection failed: FATAL:  the database system is starting up")
    'the database system is starting up'
    """
    line = " ".join((message.strip() or "no reason was given").splitlines()[0].split())
    line = line.rpartition("FATAL: ")[2].strip()
    lower = message.lower()
    rules: Mapping[str, str] = {
        "password authentication failed": "check user and password (URL, PGPASSWORD or ~/.pgpass)",
        "no password supplied": "give one in the URL, PGPASSWORD or ~/.pgpass",
        "connection refused": "is the server running, and are host and port right?",
        "could not translate host name": "is the host right?",
        "failed to resolve host": "is the host right?",
        "timeout expired": "is the host right, and not behind a firewall?",
        "does not exist": "create it first, or name another",
        "permission denied": "grant the role what docs/guides/postgres.md lists",
        "server closed the connection": "the server went away; run this again once it is back",
        "terminating connection": "the server closed the connection; run this again",
        "no space left": "free some space on the server; nothing of this run was kept",
    }
    for words, fix in rules.items():
        if words in lower:
            return f"{line}: {fix}"
    return line
