"""Where runs are kept: a server, a database, or a file here when neither answers."""

from __future__ import annotations

import os
import re
import socket
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import InstallError, UsageError, WhyrankError
from ..extras import require

HOME = Path("mlflow")
_DATABASE = "mlflow.db"
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # with any driver
_PATIENCE = 5.0  # seconds until a store counts as unreachable
_POSTGRES_PORT = 5432
_DRIVERS = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary"}
_SECRET = re.compile(r"(?<=://)([^/@:]*):(.*)@")  # a password may hold anything, "@" too


class TrackingError(WhyrankError):
    """The tracking store cannot be used, or does not hold what was asked for."""


def _silent(message: str) -> None:
    del message


@dataclass(frozen=True)
class Store:
    """Where runs are kept: a tracking URI, and whether that is the local default.

    warn: called with what a person should know of it, such as that its folder has moved.
    """

    uri: str
    home: Path
    warn: Callable[[str], None] = field(default=_silent, compare=False, repr=False)

    @property
    def local(self) -> bool:
        """Whether it is a file on this machine."""
        return self.uri.startswith("sqlite:")

    @property
    def is_database(self) -> bool:
        """Whether it is read and written without a server in between."""
        return self.uri.startswith(_DATABASES)

    @property
    def shown(self) -> str:
        """The store as it may be printed: the default one's file, else the URI, no password."""
        default = self.home / _DATABASE
        if self.uri == local_store(self.home).uri:
            return str(default)
        return without_password(self.uri)

    @property
    def exists(self) -> bool:
        """Whether anything can be in it: a server, or a file that is there."""
        return not self.local or self.file is None or self.file.exists()

    @property
    def file(self) -> Path | None:
        """The file that a local store is, absolute; None for a server, or one kept in memory."""
        name = self.uri.removeprefix("sqlite:///").partition("?")[0]
        odd = not self.local or name in {"", ":memory:"} or name.startswith(("sqlite:", "file:"))
        return None if odd else Path(name).resolve()

    @property
    def artifacts(self) -> Path:
        """The folder of a database's files: beside a local one, so that both move together."""
        if self.file is None:
            return (self.home / "artifacts").resolve()
        alone = self.file.name == _DATABASE
        return self.file.with_name("artifacts" if alone else f"{self.file.stem}_artifacts")


def local_store(home: Path = HOME, *, warn: Callable[[str], None] = _silent) -> Store:
    """Return the store that is a file in a folder."""
    # Absolute: mlflow keeps stores open by their URI, and a process may change its folder.
    return Store(f"sqlite:///{(home / _DATABASE).resolve()}", home, warn)


class UnreachableError(TrackingError):
    """The tracking server or database does not answer as one."""


def open_store(
    uri: str | None = None, *, home: Path = HOME, warn: Callable[[str], None] = _silent
) -> Store:
    """Return the store of a tracking URI, else of MLFLOW_TRACKING_URI, else the one in `home`.

    warn: called later, when the store is used, what a person should know of it.

    Raises UnreachableError when its server or database does not answer: what it holds is not what
    another store holds. UsageError for a URI of no store, InstallError when a database's driver is
    missing.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not chosen:
        return local_store(home, warn=warn)
    if chosen.startswith("sqlite:"):
        return Store(chosen, home, warn)
    if chosen.startswith(("http://", "https://")):
        what, reach = "server", _ask
    elif chosen.startswith("postgresql"):
        what, reach = "database", _knock
    else:
        raise UsageError(
            f"tracking URI {without_password(chosen)!r}: give http(s)://, postgresql:// or "
            "sqlite:///; plain folders are no longer stores"
        )
    try:
        reach(chosen)
    except (ValueError, InvalidURL):  # its words may quote a part of the password
        reason = "its address cannot be read"
    except (OSError, HTTPException) as error:
        reason = scrubbed(str(getattr(error, "reason", error)), chosen)
    else:
        return Store(chosen, home, warn)
    raise UnreachableError(
        f"the tracking {what} {without_password(chosen)} cannot be reached ({reason}): start it, "
        "or name another by --tracking"
    )


def open_store_or_local(
    uri: str | None = None, *, home: Path = HOME, warn: Callable[[str], None] = _silent
) -> Store:
    """Return the store as `open_store` does, or the local one, and say so, where none answers.

    For what only writes runs: work goes on, and the same command sends them later. A command that
    reads a scorer from a store must not read it from another.
    """
    try:
        return open_store(uri, home=home, warn=warn)
    except UnreachableError as error:
        said = str(error).rpartition(": start it")[0]
        warn(
            f"{said}: runs are kept in {home / _DATABASE} instead; run the same command again to "
            "send them"
        )
        return local_store(home, warn=warn)


def _ask(uri: str) -> None:
    """Ask a server for its health; name and password go in a header, as no host has them."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/')}/health"
    request = Request(urlunsplit((parts.scheme, host, path, "", "")))  # noqa: S310 - http(s) only
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = b64encode(pair.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    with build_opener(_NoRedirects).open(request, timeout=_PATIENCE) as answer:
        if answer.read(64).strip() != b"OK":
            raise OSError("it does not answer as an MLflow server")


class _NoRedirects(HTTPRedirectHandler):
    """A login page that answers in a server's place is no server."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, *rest: Any) -> None:
        """Refuse to go where a redirect leads."""
        del req, fp, msg, rest
        raise OSError(f"it redirects to another address (HTTP {code})")


def _knock(uri: str) -> None:
    """Open a connection to where a database should be listening."""
    require("models", "MLflow tracking")
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except ArgumentError:
        raise ValueError from None
    except ModuleNotFoundError as error:
        raise missing_driver(uri, error) from error
    if url.host:  # else a socket file, which is there or not when it is used
        socket.create_connection((url.host, url.port or _POSTGRES_PORT), _PATIENCE).close()


def missing_driver(uri: str, error: ModuleNotFoundError) -> InstallError:
    """Return the error of a database whose driver is not installed."""
    package = _DRIVERS.get(str(error.name), error.name)
    return InstallError(
        f"tracking store {without_password(uri)}: its driver {error.name!r} is not installed: "
        f"install {package}, or name a tracking server"
    )


def without_password(uri: str) -> str:
    """Return a URI that can be shown.

    >>> without_password("postgresql://ana:se@cret@db/runs")
    'postgresql://ana:***@db/runs'
    >>> without_password("http://127.0.0.1:5000")
    'http://127.0.0.1:5000'
    """
    return _SECRET.sub(r"\1:***@", uri)


def scrubbed(text: str, uri: str) -> str:
    """Return what was said of a URI without its password, however it is quoted.

    >>> scrubbed("no answer from http://ana:s%40x@db or s@x", "http://ana:s%40x@db")
    'no answer from http://ana:***@db or ***'
    """
    found = _SECRET.search(uri)
    if found is None or not found[2]:
        return text
    for secret in (found[2], unquote(found[2])):
        text = text.replace(secret, "***")
    return text
