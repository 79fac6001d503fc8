"""The page of MLflow's server opens on model training; all else is served as it is."""

from __future__ import annotations

import asyncio
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from whyrank.tracking.ui_app import NAME, entry_point, opening_on_training

PAGE = b"<!doctype html><html><head><script>first()</script></head><body></body></html>"


def asked(path: str, method: str = "GET") -> tuple[dict[str, Any], bytes, list[bytes]]:
    """Return the start and the body of an answer, and the names of headers the server was sent."""
    seen: list[bytes] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        del receive
        seen.extend(name for name, _ in scope["headers"])
        headers = [(b"content-length", str(len(PAGE)).encode()), (b"etag", b'"x"')]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[20:]})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {
        "type": "http", "path": path, "method": method,
        "headers": [(b"If-None-Match", b'"x"'), (b"host", b"127.0.0.1")],
    }  # fmt: skip
    asyncio.run(opening_on_training(served)(scope, receive, send))
    return sent[0], b"".join(one.get("body", b"") for one in sent[1:]), seen


def test_the_page_stores_its_choices_before_its_own_scripts() -> None:
    start, body, seen = asked("/")
    headers = dict(start["headers"])
    assert int(headers[b"content-length"]) == len(body)
    assert b"etag" not in headers
    assert seen == [b"host"]  # a page of a plain MLflow is not taken from a cache
    assert b'"mlflow.workflowType_v1"' in body[: body.index(b"first()")]
    assert b"getItem(key) === null" in body  # what somebody chose stays
    assert body.startswith(PAGE[: PAGE.index(b"<script>")])
    assert body.endswith(PAGE[PAGE.index(b"<script>") :])


def test_all_else_is_served_as_it_is() -> None:
    for path, method in (("/static-files/main.js", "GET"), ("/", "POST")):
        start, body, seen = asked(path, method)
        assert body == PAGE
        assert (b"etag", b'"x"') in start["headers"]
        assert len(seen) == 2


def test_mlflow_finds_the_application_by_its_name(tmp_path: Path) -> None:
    entry_point(tmp_path)
    (found,) = distributions(path=[str(tmp_path)])
    (entry,) = found.entry_points
    assert (entry.group, entry.name) == ("mlflow.app", NAME)
    assert entry.value == "whyrank.tracking.ui_app:app"
