"""Render the dbt project of one spec: templates in, a folder of SQL and YAML out.

The templates' own marks are << value >> and <% block %>, so that dbt's {{ }} pass through. Nothing
is rendered into the installed package: the folder lies beside the warehouse.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from ...features.compiler import Compiled
from ...spec.durations import parse_duration
from ...spec.expressions import quote_name, quote_text, text_as
from ...spec.model import Spec
from ..dialects import DUCKDB, Dialect, translate_model
from .mart_values import json_path, mart_values

OPTIONAL_MODELS = {
    "user_day_values": "distincts",
    "entity_days": "entities",
    "user_attributes": "used_attributes",
}
OPTIONAL_FOLDERS = {"funnels": "funnels", "experiments": "experiments"}
SNAPSHOT_MODEL = "user_features"


def render_project(
    spec: Spec,
    columns: Compiled,
    as_of_dates: Sequence[date],
    dialect: Dialect = DUCKDB,
    *,
    location: str = "",
) -> dict[str, str]:
    """Return the project's files, by path inside the project, for a spec and its snapshot dates.

    The models are written in DuckDB's SQL, and translated to another dialect.
    location: the folder that tables are files of, where they are.
    """
    values = _values(spec, columns, as_of_dates)
    files: dict[str, str] = {}
    for path, entry in _templates(resources.files("whyrank.warehouse") / "dbt"):
        folder = OPTIONAL_FOLDERS.get(Path(path).parent.name)
        needed = OPTIONAL_MODELS.get(Path(path).stem, folder)
        if needed is None or values[needed]:
            text = entry.read_text(encoding="utf-8")
            if path.startswith("macros/"):  # dbt's own language, the same for all
                files[path] = text
                continue
            text = _template(text).render(values)
            files[path] = translate_model(text, dialect) if path.endswith(".sql") else text
    files["dbt_project.yml"] += dialect.project_settings(str(_inert(json.dumps(location))))
    return files


@lru_cache(maxsize=128)
def _template(text: str) -> Template:
    """Return a compiled template; a process that renders often compiles each once."""
    environment = Environment(
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        finalize=_inert,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is SQL; values are quoted where they are made
    )
    environment.filters["yaml"] = yaml_text
    return environment.from_string(text)


def yaml_text(value: object) -> str:
    r"""Return a value as YAML that is also plain ASCII: JSON, but for letters beyond U+FFFF.

    JSON writes those as two halves, which YAML takes for two letters that do not exist.

    >>> yaml_text("a\"\U0001f600") == '"a' + chr(92) + '"' + chr(92) + 'U0001f600"'
    True
    """
    pair = r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})"

    def whole(match: re.Match[str]) -> str:
        high, low = int(match[1], 16), int(match[2], 16)
        return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"

    return re.sub(pair, whole, json.dumps(value))


def _inert(value: object) -> object:
    """Keep dbt from running a spec's words: what reads {{ x }} in a spec is text and no macro."""
    return str.replace(value, "{", "{{ '{' }}") if isinstance(value, str) else value


def models_of(files: Mapping[str, str]) -> dict[str, str]:
    """Return the models among a project's files: SQL by model name.

    >>> models_of({"models/marts/features/sessions.sql": "select 1", "tests/t.sql": "select 2"})
    {'sessions': 'select 1'}
    """
    return {
        Path(path).stem: text
        for path, text in files.items()
        if path.startswith("models/") and path.endswith(".sql")
    }


def fingerprint(files: Mapping[str, str], *, without: Sequence[str] = ()) -> str:
    """Return a hash of the models' SQL, leaving out the models named in `without`.

    >>> files = {"models/a.sql": "select 1", "models/b.sql": "select 2"}
    >>> fingerprint(files) == fingerprint({**files, "models/b.sql": "select 3"})
    False
    """
    kept = {name: sql for name, sql in models_of(files).items() if name not in without}
    text = json.dumps(sorted(kept.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_project(files: Mapping[str, str], folder: Path) -> None:
    """Write the project's files, leaving those alone that already say the same.

    dbt parses again only what changed; files of models that are gone are removed.
    """
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
    for kind in ("models", "tests", "macros"):
        for found in sorted((folder / kind).rglob("*.*")):
            if found.relative_to(folder).as_posix() not in files:
                found.unlink()


def _templates(root: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in sorted(root.iterdir(), key=lambda e: e.name):
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _templates(entry, f"{path}/")
        elif path.endswith((".sql", ".yml")):
            found.append((path, entry))
    return found


def _values(spec: Spec, columns: Compiled, as_of_dates: Sequence[date]) -> dict[str, Any]:
    sessions = spec.sessions
    label_only = [name for name, event in spec.events.items() if event.label_only]
    return {
        "landing_schema": spec.landing_schema,
        "as_of_dates": [day.isoformat() for day in sorted(set(as_of_dates))],
        "trust_until": spec.trust_until.isoformat() if spec.trust_until else "",
        "label_only": ", ".join(quote_text(name) for name in label_only),
        "target_events": ", ".join(quote_text(name) for name in sorted(set(spec.target.events))),
        "target_count": len(set(spec.target.events)),
        "target_require": spec.target.require,
        "gap_seconds": _seconds(sessions.gap),
        "repeat_seconds": _seconds(sessions.repeat_within),
        "bounce_events": sessions.bounce_events,
        "spam_events": sessions.spam_events,
        "spam_seconds": sessions.spam_seconds,
        "pass_through": [
            {"name": name, "column": quote_name(name), "path": json_path(name)}
            for name in spec.users.pass_through
        ],
        "event_states": columns.event_states,
        "session_states": columns.session_states,
        "merged": columns.merged,
        "features": columns.features,
        "gaps": columns.gaps,
        "distincts": columns.distincts,
        "entities": columns.entities,
        "attributes": [
            {
                "feature": attribute.feature,
                "sql": text_as(
                    f"json_extract_string(u.attributes, {json_path(attribute.column)})",
                    attribute.type,
                ),
                "static": attribute.static,
            }
            for attribute in columns.attributes
        ],
        "population": columns.population,
        "population_description": spec.population.in_words,
        **mart_values(columns.marts),
    }


def _seconds(duration: str) -> int:
    return int(parse_duration(duration).total_seconds())
