"""MLflow's server as `whyrank mlflow` runs it: its page opens on model training.

MLflow's page opens on tools for language models, with an assistant beside it, until the browser has
stored another choice. A few lines in the page store that choice before MLflow reads it; users
who change it in the page keep the change. `entry_point` makes this module an application of
`mlflow server --app-name`, MLflow's own way to run another one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

NAME = "whyrank-ui"
# Keys of MLflow 3's page in the browser's storage; another version's page ignores them. The notice
# about telemetry, which the server of `whyrank mlflow` switches off, would say what is not so.
_CHOICES = b"""<script>
try {
  for (const [key, value] of [
    ["mlflow.workflowType_v1", '"machine_learning"'],
    ["mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true"],
    ["mlflow.home.getting-started.collapsed_v1", "true"],
    ["mlflow.telemetry.info.alert.dismissed_v1", "true"],
  ]) if (localStorage.getItem(key) === null) localStorage.setItem(key, value);
} catch (error) { /* a browser that stores nothing opens as MLflow does */ }
</script>
<style>button[data-assistant-ui] { display: none }</style>"""
_HEAD = b"<head>"
# A page that a plain MLflow served at this address is not to be taken from the browser's cache.
_CACHE = {b"if-none-match", b"if-modified-since", b"etag", b"last-modified"}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def entry_point(folder: Path) -> None:
    """Describe this module as an MLflow application in a folder that goes on Python's path."""
    about = folder / "whyrank_ui-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: whyrank-ui\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[mlflow.app]\n{NAME} = {__name__}:app\n")


def opening_on_training(served: Application) -> Application:
    """Return an application that serves the same, its page with our choices in it."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await served(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in _CACHE]
        page = _Page()
        await served({**scope, "headers": headers}, receive, page.take)
        for message in page.messages():
            await send(message)

    return app


class _Page:
    """Collects an answer, and gives it on with the choices in its head."""

    def __init__(self) -> None:
        self._start: Message = {}
        self._body = b""

    async def take(self, message: Message) -> None:
        """Keep a part of the answer."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def messages(self) -> list[Message]:
        """Return the whole answer."""
        body = self._body.replace(_HEAD, _HEAD + _CHOICES, 1)
        dropped = {b"content-length", *_CACHE}
        headers = [pair for pair in self._start["headers"] if pair[0].lower() not in dropped]
        headers.append((b"content-length", str(len(body)).encode()))
        return [
            {**self._start, "headers": headers},
            {"type": "http.response.body", "body": body},
        ]


def app() -> Application:
    """Return MLflow's application with our choices: what `mlflow server` calls in its worker."""
    from mlflow.server.fastapi_app import app as served

    return opening_on_training(served)
