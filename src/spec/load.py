"""Find and read a spec; every error names the file, the key, the value and what would be right."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import DataError, SpecError
from ..files import check_file
from .model import Spec
from .references import suggest

BOM = "\ufeff"  # some editors put it first


def builtin_specs() -> list[str]:
    """Return the names of the built-in specs.

    >>> "saas" in builtin_specs()
    True
    """
    folder = resources.files(__package__ or "whyrank.spec")
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_spec(name_or_path: str | Path) -> Spec:
    """Return the spec of a built-in name ("saas") or of a TOML file's path.

    Raises SpecError when there is no such spec, the file cannot be read, or something in it is
    wrong; then the message names the file, the key, the value and what would be right.

    >>> load_spec("saas").name
    'saas'
    """
    text, where = _read(name_or_path)
    return parse_spec(text, where)


def parse_spec(text: str, where: str = "spec") -> Spec:
    """Return the spec that a TOML text holds; `where` names it in errors."""
    try:
        raw = tomllib.loads(text.removeprefix(BOM))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{where}: not valid TOML: {error}") from None
    except RecursionError:
        raise SpecError(f"{where}: its arrays or tables are nested too deeply to be read") from None
    try:
        return Spec.model_validate(raw)
    except ValidationError as error:
        raise SpecError("\n".join(_lines(error, raw, where))) from None


def spec_digest(spec: Spec) -> str:
    """Return twelve hex digits that change whenever anything in the spec changes."""
    return hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:12]


def spec_text(name_or_path: str | Path) -> str:
    """Return a spec's TOML text as it was written, byte order mark and line ends included."""
    return _read(name_or_path)[0]


def _read(name_or_path: str | Path) -> tuple[str, str]:
    name = str(name_or_path)
    if not name.endswith(".toml"):
        known = builtin_specs()
        if name not in known:
            raise SpecError(
                f"no spec named {name!r}; {suggest(name, known)} (a file's path ends in .toml)"
            )
        entry = resources.files(__package__ or "whyrank.spec") / f"{name}.toml"
        return entry.read_text(encoding="utf-8"), f"built-in spec {name}"
    path = Path(name)
    try:
        check_file(path)
        return path.read_bytes().decode("utf-8"), name  # with the line ends that it has
    except DataError as error:
        raise SpecError(f"spec {error}") from None
    except OSError as error:
        raise SpecError(f"spec {name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"spec {name}: is not UTF-8 at byte {error.start}; save it so") from None


def _lines(error: ValidationError, raw: dict[str, Any], where: str) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        key = _key(location, raw) or "spec"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"unknown key; {suggest(str(location[-1]), _siblings(location[:-1]))}"
        elif problem["type"] == "missing":
            message = "is required and missing"
        elif (
            not isinstance(problem["input"], (dict, list)) and repr(problem["input"]) not in message
        ):
            message = f"{problem['input']!r}: {message[0].lower()}{message[1:]}"
        yield f"{where}: {key}: {message}"


def _key(location: tuple[int | str, ...], raw: object) -> str:
    """Write a location as a TOML key, naming list entries by their `name` where they have one."""
    words: list[str] = []
    here: Any = raw
    for step in location:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list) and step < len(here) else None
            label = here.get("name", step) if isinstance(here, dict) else step
            words.append(str(label))
        elif isinstance(here, dict) and (step in here or step == location[-1]):
            words.append(step)
            here = here.get(step)
    return ".".join(words)


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are allowed in the table at that location."""
    model: Any = Spec
    for step in location:
        if isinstance(step, str) and isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(step)
            model = _model_in(field.annotation) if field else None
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return []


def _model_in(annotation: Any) -> Any:
    """Return the first model class inside an annotation such as tuple[FeatureSpec, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
