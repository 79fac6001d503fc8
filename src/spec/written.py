"""A spec as TOML, written from its parts: what no text of a person's is kept of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import SpecError
from .load import parse_spec
from .model import Spec


def written_spec(spec: Spec) -> str:
    """Return a spec as TOML, a key a line; what is the default is left out, as are comments.

    Raises SpecError where the text would not be read back as the same spec.

    >>> from whyrank.spec.load import load_spec
    >>> parse_spec(written_spec(load_spec("saas"))) == load_spec("saas")
    True
    """
    raw = spec.model_dump(mode="json", exclude_defaults=True)
    text = "\n".join(_table(raw, ())).lstrip("\n") + "\n"
    if parse_spec(text, f"spec {spec.name!r} written again") != spec:
        raise SpecError(f"spec {spec.name!r}: cannot be written as TOML that says the same")
    return text


def _table(raw: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: its own keys, then the tables in it."""
    inner = {key: value for key, value in raw.items() if _is_table(value)}
    yield from (f"{_key(key)} = {_value(v)}" for key, v in raw.items() if key not in inner)
    for key, value in inner.items():
        place = (*path, key)
        name = ".".join(map(_key, place))
        if isinstance(value, list):
            for each in value:
                yield from ("", f"[[{name}]]")
                yield from _table(each, place)
        else:
            yield from ("", f"[{name}]")
            yield from _table(value, place)


def _is_table(value: object) -> bool:
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else quoted(key)


def _value(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    return str(value)


def number(value: float) -> str:
    """Write a number, a whole one without a decimal point.

    >>> number(14.0), number(0.25)
    ('14', '0.25')
    """
    return repr(float(value)).removesuffix(".0")


def quoted(text: str) -> str:
    """Write a text as a TOML string.

    >>> print(quoted('a "b"'))
    "a \\"b\\""
    """
    # JSON's escapes are TOML's, but for the one character that TOML forbids and JSON allows.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
