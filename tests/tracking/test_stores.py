"""Finding a store: who answers, who does not, and what is said of it."""

from __future__ import annotations

import os
import socket
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from whyrank.errors import InstallError, UsageError
from whyrank.tracking import (
    Store,
    TrackingError,
    UnreachableError,
    local_store,
    open_store,
    open_store_or_local,
    read_comparison,
)
from whyrank.tracking.client import using


class Health(BaseHTTPRequestHandler):
    """Answers /health to those who say who they are, and fails at all else."""

    def do_GET(self) -> None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        known = (kind, b64decode(token)) == ("Basic", b"ana:s@cret/1")
        status = 500 if self.path != "/base/health" else 200 if known else 401
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler] = Health) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_name_and_password_in_the_address_reach_a_server_as_a_header(tmp_path: Path) -> None:
    notes: list[str] = []
    with serving() as port:
        uri = f"http://ana:s%40cret%2F1@127.0.0.1:{port}/base/"
        store = open_store_or_local(uri, home=tmp_path, warn=notes.append)
        assert store == Store(uri, tmp_path)
        assert notes == []
        assert store.shown == f"http://ana:***@127.0.0.1:{port}/base/"
        wrong = f"http://ana:wrong@127.0.0.1:{port}/base"
        assert open_store_or_local(wrong, home=tmp_path, warn=notes.append) == local_store(tmp_path)
        assert "Unauthorized" in notes[0]
        assert "wrong" not in notes[0]


@pytest.mark.parametrize("secret", ["", "ana:secret@", "ana:se%40cret@"])
def test_a_server_that_is_not_there_is_said_and_replaced(tmp_path: Path, secret: str) -> None:
    notes: list[str] = []
    uri = f"http://{secret}127.0.0.1:{free_port()}"
    assert open_store_or_local(uri, home=tmp_path, warn=notes.append) == local_store(tmp_path)
    (said,) = notes
    # It was looked for where it should be: nobody listens there, which is no matter of names.
    assert "Connection refused" in said
    assert "cret" not in said
    assert str(tmp_path / "mlflow.db") in said


def test_what_answers_but_is_no_web_server_is_replaced(tmp_path: Path) -> None:
    class Rude(Health):
        def do_GET(self) -> None:
            self.wfile.write(b"220 mail.example ready\r\n")

    notes: list[str] = []
    with serving(Rude) as port:
        found = open_store_or_local(f"http://127.0.0.1:{port}", home=tmp_path, warn=notes.append)
    assert found == local_store(tmp_path)
    assert "220 mail.example" in notes[0]


class Login(Health):
    """Sends everybody to a page that answers."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/health" else 200)
        self.send_header("Location", "/login")
        self.end_headers()
        self.wfile.write(b"OK")


class Page(Health):
    """Answers everything with a page of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Sign in</html>")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [(Login, "redirects to another address"), (Page, "does not answer as an MLflow server")],
)
def test_a_page_in_a_servers_place_is_no_server(
    tmp_path: Path, handler: type[BaseHTTPRequestHandler], reason: str
) -> None:
    notes: list[str] = []
    with serving(handler) as port:
        uri = f"http://127.0.0.1:{port}"
        with pytest.raises(UnreachableError, match=f"{reason}.*start it, or name another"):
            open_store(uri, home=tmp_path)
        assert open_store_or_local(uri, home=tmp_path, warn=notes.append) == local_store(tmp_path)
    assert reason in notes[0]


def test_whoever_reads_from_a_store_that_is_gone_stops(tmp_path: Path) -> None:
    """Ranking by points in a champion's place would be another list."""
    uri = f"http://ana:secret@127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError, match="Connection refused") as raised:
        open_store(uri, home=tmp_path)
    assert "secret" not in str(raised.value)


def test_an_address_that_cannot_be_read_is_said_without_its_password(tmp_path: Path) -> None:
    for uri in ("http://ana:se/cret@host:1", "http://ana:secret@[::1", "http://ana:secret@h:x"):
        notes: list[str] = []
        assert open_store_or_local(uri, home=tmp_path, warn=notes.append) == local_store(tmp_path)
        assert "its address cannot be read" in notes[0]
        assert "cret" not in notes[0]
    with pytest.raises(UsageError, match="plain folders are no longer stores"):
        open_store_or_local("file:///tmp/runs")


def test_a_database_that_is_not_there_is_said_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", ModuleType("psycopg"))
    notes: list[str] = []
    dead = f"postgresql://ana:secret@127.0.0.1:{free_port()}/runs"
    assert open_store_or_local(dead, home=tmp_path, warn=notes.append) == local_store(tmp_path)
    assert "the tracking database postgresql://ana:***@127.0.0.1" in notes[0]
    assert "Connection refused" in notes[0]
    with socket.create_server(("127.0.0.1", 0)) as there:
        uri = f"postgresql://ana:secret@127.0.0.1:{there.getsockname()[1]}/runs"
        assert open_store_or_local(uri, home=tmp_path, warn=notes.append) == Store(uri, tmp_path)
    assert len(notes) == 1


def test_a_database_without_its_driver_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for driver, package in (("psycopg", r"'psycopg\[binary\]'"), ("psycopg2", "psycopg2-binary")):
        monkeypatch.setitem(sys.modules, driver, None)
        said = rf"ana:\*\*\*@db/runs: its driver '{driver}' is not installed: install {package}"
        with pytest.raises(InstallError, match=said):
            open_store(f"postgresql+{driver}://ana:secret@db/runs", home=tmp_path)


def test_an_outage_is_not_taken_for_a_run_without_a_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    gone = Store(f"http://ana:secret@127.0.0.1:{free_port()}", tmp_path)
    for run in (None, "4e5a1c0c9b3f4b0a8f5b0f3a3c1d2e4f"):
        with pytest.raises(TrackingError) as failed:
            read_comparison(gone, "shop", run)
        said = str(failed.value)
        assert "tracking store http://ana:***@127.0.0.1" in said
        assert "refused" in said
        assert "secret" not in said
        assert "holds no comparison" not in said


@pytest.mark.parametrize("theirs", [None, "set", "environment"])
def test_a_process_that_uses_mlflow_itself_finds_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str | None
) -> None:
    """Nothing set stays nothing set: after a call of ours mlflow still follows a changed folder."""
    import mlflow

    monkeypatch.setattr("whyrank.tracking.client.prepare", lambda _: None)  # needs no store
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    mlflow.set_registry_uri(None)  # type: ignore[arg-type]
    uri = f"sqlite:///{tmp_path}/theirs.db"
    if theirs == "set":
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(f"{uri}2")
    elif theirs == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    environment = {name: value for name, value in os.environ.items() if "MLFLOW" in name}
    found = [mlflow.get_tracking_uri(), mlflow.get_registry_uri()]
    with pytest.raises(TrackingError, match="nothing is trained"):
        read_comparison(local_store(tmp_path / "ours"), "shop")
    (tmp_path / "ours").mkdir(exist_ok=True)
    with using(local_store(tmp_path / "ours")) as ml:
        assert ml.get_tracking_uri() == local_store(tmp_path / "ours").uri
    assert [mlflow.get_tracking_uri(), mlflow.get_registry_uri()] == found
    assert {name: value for name, value in os.environ.items() if "MLFLOW" in name} == environment
    if theirs is None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert mlflow.get_registry_uri() == mlflow.get_tracking_uri() != found[0]
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    mlflow.set_registry_uri(None)  # type: ignore[arg-type]
