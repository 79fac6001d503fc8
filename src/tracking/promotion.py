"""What is kept of a promotion: who made which version champion, when, and which was it before."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Any

from ..escapes import shown
from .client import ABSENT
from .markdown import ROOM

_MARK = " (champion)"
_ABOUT = (
    "A version per scorer and training. The alias champion is what `whyrank score` ranks by; "
    "`whyrank compare --promote` moves it."
)
_COLUMNS = ("champion", "promoted_at", "promoted_by", "champion_before")
_HEAD = f"| champion | promoted{ROOM} | by{ROOM} | before it |\n|---|---|---|---|\n"


def record_promotion(client: Any, model: str, version: Any, before: Any) -> None:
    """Note a promotion on the version, in the model's description, and in the runs' names.

    before: the version that was champion, None when there was none.
    """
    if before is None or before.version != version.version:
        made = {
            "promoted_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "promoted_by": shown(_user()),
            "champion_before": "none" if before is None else _named(before),
        }
        for key, value in made.items():
            client.set_model_version_tag(model, version.version, key, value)
        _add_to_history(client, model, {"champion": _named(version), **made})
        if before is not None:
            _mark(client, before.run_id, champion=False)
    _mark(client, version.run_id, champion=True)


def describe_model(client: Any, model: str) -> None:
    """Say in a model's description what its versions are, where it has none."""
    if not client.get_registered_model(model).description:
        client.update_registered_model(model, _ABOUT)


def _add_to_history(client: Any, model: str, made: dict[str, str]) -> None:
    """Add a line to the table of promotions in a model's description, the latest first."""
    said = client.get_registered_model(model).description or _ABOUT
    before, head, lines = said.partition(_HEAD)
    if not head:
        before, lines = f"{said}\n\n", ""
    cells = [made[key].replace("|", "/") + ROOM for key in _COLUMNS]
    client.update_registered_model(model, f"{before}{_HEAD}| {' | '.join(cells)} |\n{lines}")


def _mark(client: Any, run: str | None, *, champion: bool) -> None:
    """Write in a run's name whether its scorer is champion; a run that is not there needs no mark.

    A version that somebody registered by hand need not have one.
    """
    from mlflow.exceptions import MlflowException

    if not run:
        return
    try:
        name = str(client.get_run(run).info.run_name).removesuffix(_MARK)
        client.update_run(run, name=name + (_MARK if champion else ""))
        if champion:
            client.set_tag(run, "champion", "yes")
        else:
            client.delete_tag(run, "champion")
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise


def _named(version: Any) -> str:
    return f"{(version.tags or {}).get('scorer', '?')} v{version.version}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user id, as in a container
        return "unknown"
