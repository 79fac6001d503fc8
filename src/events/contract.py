"""The event contract: columns of an accepted event, and what keeps a row out.

Everything here is SQL over one row of a source, so that a load is one statement however many rows
it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..errors import DataError
from ..spec.expressions import ExpressionSql, quote_text
from ..spec.model import Constant, Expression, SourceSpec, Spec
from ..spec.references import suggest

MAX_KEY_LENGTH = 1000
MAX_TEXT_LENGTH = 1 << 20
MAX_VALUE = 1e12
TEXT_COLUMNS = ("session_id", "experiment_id", "variant", "platform", "device", "geo")
EVENT_COLUMNS: dict[str, str] = {
    "event_id": "varchar",
    "user_id": "varchar",
    "event_time": "timestamp",
    "event_name": "varchar",
    "value": "double",
    **dict.fromkeys(TEXT_COLUMNS, "varchar"),
    "properties": "varchar",
}


@dataclass(frozen=True)
class Fields:
    """The fields of one source: SQL and SQL type by the name that the file gives them.

    `reason` is SQL for why a row could not be read at all (null where it could).
    """

    where: str
    columns: Mapping[str, tuple[str, str]]
    reason: str = "null"

    def sql(self, name: str) -> str | None:
        """Return a field's SQL, or None when the source has no such field."""
        found = self.columns.get(name)
        return found[0] if found else None

    def type(self, name: str) -> str:
        """Return a field's SQL type in capitals, such as VARCHAR."""
        return self.columns[name][1].upper()

    def required(self, name: str, key: str) -> str:
        """Return a field's SQL; raises DataError naming the spec key that maps it when absent."""
        found = self.sql(name)
        if found is None:
            raise DataError(
                f"{self.where}: there is no column {name!r} (spec key {key}); "
                f"{suggest(name, self.columns)}; map it in the spec "
                "(`whyrank init FILE` drafts one)"
            )
        return found

    def others(self, keys: Collection[str]) -> str:
        """Return SQL for a JSON object, as text, of every field but `keys`."""
        pairs = (
            f"{quote_text(name)}, {self.text(name)}" for name in self.columns if name not in keys
        )
        return f"cast(json_object({', '.join(pairs)}) as varchar)"

    def text(self, name: str) -> str:
        """Return a field as text, empty text as null; SQL null when the source lacks it."""
        found = self.sql(name)
        if found is None:
            return "cast(null as varchar)"
        if self.type(name) != "VARCHAR":
            found = f"cast({found} as varchar)"
        return f"nullif({found}, '')"


@dataclass(frozen=True)
class Shape:
    """How a source's rows become contract rows: SQL per column, and SQL for why a row is refused.

    `checks` are pairs (condition that refuses, reason), tried in order, over the columns.
    """

    columns: Mapping[str, str]
    checks: tuple[tuple[str, str], ...]


def shape_events(spec: Spec, fields: Fields) -> Shape:
    """Map a source's fields to the event contract as the spec's [source] says.

    Raises DataError when the file lacks a column that every row needs, or its type cannot be
    read as the spec says.
    """
    source = spec.source
    columns = {
        "event_id": fields.text(source.event_id),
        "user_id": _key(fields, source.user_id, "source.user_id"),
        "event_time": time_sql(fields, source.event_time, source, "source.event_time"),
        "time_given": _given(fields, source.event_time),
        "event_name": _event_name(fields, source),
        "value_given": _value_given(fields, source),
        "value": _value(fields, source),
        **{name: fields.text(getattr(source, name)) for name in TEXT_COLUMNS},
        "properties": _properties(fields, source),
    }
    return Shape(columns, (*_key_checks("user_id"), *_event_checks(spec)))


def time_sql(fields: Fields, name: str, source: SourceSpec, key: str) -> str:
    """Return a field as a UTC timestamp in SQL; null where it cannot be read."""
    sql = fields.required(name, key)
    kind = fields.type(name)
    zone = quote_text(source.time_zone)
    if kind == "TIMESTAMP WITH TIME ZONE":
        # The same instant without a calendar: zone arithmetic costs half a load.
        return f"make_timestamp(epoch_us({sql}))"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return _zoned(f"cast({sql} as timestamp)", zone)
    unit = source.time_format.removeprefix("epoch_")
    if unit != source.time_format:
        per_second = {"s": 1, "ms": 1_000, "us": 1_000_000}[unit]
        number = f"try_cast({sql} as double) * {1_000_000 // per_second}"
        return f"case when abs({number}) < 9e18 then make_timestamp(cast({number} as bigint)) end"
    if kind != "VARCHAR":
        raise DataError(
            f"{fields.where}: column {name!r} is {kind}, not a time: set source.time_format to "
            "epoch_s, epoch_ms or epoch_us in the spec"
        )
    if source.time_format == "iso":
        return f"(try_cast({sql} as timestamptz) at time zone 'UTC')"
    pattern = quote_text(source.time_format)
    parsed = f"try_strptime({sql}, {pattern})"
    if "%z" in source.time_format or "%Z" in source.time_format:
        return f"(cast({parsed} as timestamptz) at time zone 'UTC')"
    return _zoned(parsed, zone)


def _zoned(sql: str, zone: str) -> str:
    return sql if zone == "'UTC'" else f"(timezone({zone}, {sql}) at time zone 'UTC')"


def _key(fields: Fields, name: str, key: str) -> str:
    fields.required(name, key)
    return fields.text(name)


def _event_name(fields: Fields, source: SourceSpec) -> str:
    if isinstance(source.event_name, Constant):
        return quote_text(source.event_name.constant)
    return _key(fields, source.event_name, "source.event_name")


def _value(fields: Fields, source: SourceSpec) -> str:
    if isinstance(source.value, Expression):
        expression = ExpressionSql(source.value.expression, fields.columns, "source.value")
        return f"try({expression.sql(lambda name: _number(fields, name, source))})"
    return _number(fields, source.value, source)


def _number(fields: Fields, name: str, source: SourceSpec) -> str:
    """Return a field as a number in SQL; null where it is none or the source lacks it."""
    found = fields.sql(name)
    if found is None:
        return "cast(null as double)"
    if fields.type(name) == "DOUBLE":
        return found
    if source.decimal == "," and fields.type(name) == "VARCHAR":
        found = f"replace(replace({found}, '.', ''), ',', '.')"
    return f"try_cast({found} as double)"


def _value_given(fields: Fields, source: SourceSpec) -> str:
    if isinstance(source.value, Expression):
        expression = ExpressionSql(source.value.expression, fields.columns, "source.value")
        return " and ".join(_given(fields, name) for name in expression.columns) or "true"
    return _given(fields, source.value) if fields.sql(source.value) else "false"


def _given(fields: Fields, name: str) -> str:
    """Return SQL for whether a field holds anything; empty text is nothing."""
    sql = fields.sql(name)
    return f"({sql} <> '') is true" if fields.type(name) == "VARCHAR" else f"({sql} is not null)"


def _properties(fields: Fields, source: SourceSpec) -> str:
    if isinstance(source.properties, str):
        name = source.properties
        if fields.sql(name) and fields.type(name).startswith(("STRUCT", "MAP")):
            return f"cast(to_json({fields.sql(name)}) as varchar)"
        return fields.text(name)
    pairs = []
    for name in source.properties:
        fields.required(name, "source.properties")
        pairs.append(f"{quote_text(name)}, {fields.text(name)}")
    return f"cast(json_object({', '.join(pairs)}) as varchar)"


def _key_checks(*names: str) -> tuple[tuple[str, str], ...]:
    checks: list[tuple[str, str]] = []
    for name in names:
        # What is quick to see comes first: nothing of spaces alone is after a !, and no text has
        # more characters than bytes.
        checks.append(
            (f"{name} is null or ({name} < '!' and trim({name}) = '')", f"{name} is missing")
        )
        checks.append(
            (
                f"strlen({name}) > {MAX_KEY_LENGTH} and length({name}) > {MAX_KEY_LENGTH}",
                f"{name} is longer than {MAX_KEY_LENGTH} characters",
            )
        )
    return tuple(checks)


def _event_checks(spec: Spec) -> tuple[tuple[str, str], ...]:
    earliest = spec.source.earliest.isoformat()
    checks = [
        ("not time_given", "event_time is missing"),
        ("event_time is null", f"event_time cannot be read as {spec.source.time_format}"),
        (f"event_time < timestamp '{earliest}'", f"event_time is before {earliest}"),
        ("event_time > $latest", "event_time is in the future"),
        *_key_checks("event_name"),
    ]
    if spec.events and spec.source.unknown_events == "quarantine":
        names = ", ".join(quote_text(name) for name in spec.events)
        checks.append((f"event_name not in ({names})", "event_name is not in the spec's [events]"))
    checks += [
        ("value is null and value_given", "value is not a number"),
        ("isnan(value) or isinf(value)", "value is not a finite number"),
        (f"abs(value) >= {MAX_VALUE:.0f}", f"value is beyond {MAX_VALUE:.0e}"),
        (
            "properties is not null and (not json_valid(properties)"
            " or json_type(try_cast(properties as json)) <> 'OBJECT')",
            "properties is not a JSON object",
        ),
        (f"length(properties) > {MAX_TEXT_LENGTH}", "properties is longer than 1 MiB"),
    ]
    return tuple(checks)


def shape_users(spec: Spec, fields: Fields) -> Shape:
    """Map a users file: its key, the time from which a row holds, and every other column."""
    users = spec.users
    columns = {"user_id": _key(fields, users.user_id, "users.user_id")}
    checks = list(_key_checks("user_id"))
    if fields.sql(users.valid_from) is None:
        columns["valid_from"] = "cast(null as timestamp)"
    else:
        columns["valid_from"] = time_sql(fields, users.valid_from, spec.source, "users.valid_from")
        checks.append(("valid_from is null", "valid_from is missing or cannot be read"))
    columns["attributes"] = fields.others({users.user_id, users.valid_from})
    return Shape(columns, tuple(checks))


def shape_aliases(spec: Spec, fields: Fields) -> Shape:
    """Map an alias file: anonymous_id, user_id and linked_at."""
    columns = {
        "anonymous_id": _key(fields, "anonymous_id", "aliases need it"),
        "user_id": _key(fields, "user_id", "aliases need it"),
        "linked_at": time_sql(fields, "linked_at", spec.source, "aliases need it"),
    }
    checks = (
        *_key_checks("anonymous_id", "user_id"),
        ("linked_at is null", "linked_at is missing or cannot be read"),
        ("anonymous_id = user_id", "links an id to itself"),
    )
    return Shape(columns, checks)
