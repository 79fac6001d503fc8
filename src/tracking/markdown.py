"""Markdown: text and tables for descriptions in the tracking UI."""

from __future__ import annotations

from collections.abc import Sequence

from ..escapes import shown

ROOM = "\u00a0\u00a0"  # the tracking UI draws tables without any room between columns


def cell(text: str) -> str:
    """Return a text that ends no cell of a Markdown table, and begins no tag, link or emphasis.

    >>> cell("a|b <i>"), cell("+0.1 [0.0, 0.2]")
    ('a&#124;b &lt;i>', '+0.1 [0.0, 0.2]')
    """
    safe = shown(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")
    return safe.replace("*", "\\*").replace("`", "\\`").replace("](", "]\\(")


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter, and is the same otherwise.

    >>> sentence("mean percentile of XGBoost"), sentence("")
    ('Mean percentile of XGBoost', '')
    """
    return text[:1].upper() + text[1:]


def table_row(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table, whose cells are already safe, with room between them."""
    return f"| {' | '.join(f'{one}{ROOM}' if one else '' for one in cells)} |"
