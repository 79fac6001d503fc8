"""What a warehouse is, whichever engine it runs on, and who may write to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from ..spec.model import Spec
from .contracts import Connection, Extract, Loader, Lock, SharedBuilds
from .dialects import Dialect
from .duckdb_errors import DEFAULT_MEMORY, Settings, memory_limit

# Locks of this thread's, by the warehouse's name.
_HELD: ContextVar[Mapping[str, Lock]] = ContextVar("held", default=MappingProxyType({}))


class Warehouse(ABC):
    """Where events are kept and models are built, and the folder of files that goes with it.

    dialect: what its connections speak. model_dialect: what its models are built in. name: what
    messages call it, without secrets. files: the folder of the rendered project, of published
    copies and of what is spilled. memory: what DuckDB may use beside it. sample: about how many
    users a published copy holds, where everybody is read in another way; None for all. distributed:
    whether everybody is ranked and learned from where the data are, and not here. resumes: whether
    a build that was cut off can be taken up where it ended. dbt_hooks: the module that prepares
    dbt's process, empty where nothing has to be.
    """

    dialect: Dialect
    model_dialect: Dialect
    memory: str = DEFAULT_MEMORY
    sample: int | None = None
    distributed: ClassVar[bool] = False
    resumes: ClassVar[bool] = True
    dbt_hooks: ClassVar[str] = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @property
    @abstractmethod
    def files(self) -> Path:
        """The folder of files that goes with it."""

    @property
    def identity(self) -> str:
        """What tells it from any other that has or had its name; empty where a server tells."""
        return ""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything can have been loaded yet."""

    @abstractmethod
    def connect(self) -> AbstractContextManager[Connection]:
        """Open it for writing, and close it at the end.

        Raises WarehouseError when it cannot be opened or a statement fails.
        """

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Open what exists for reading alone, and close it at the end; nothing is created.

        Raises WarehouseError when it cannot be opened, a writer holds it or a statement fails.
        """

    @abstractmethod
    def writing(self) -> AbstractContextManager[Lock]:
        """Keep other writers out until the end.

        Raises WarehouseError when another process is writing.
        """

    @abstractmethod
    def loader(self) -> AbstractContextManager[Loader]:
        """Open it for loading, other writers kept out until the end.

        Raises WarehouseError when it cannot be opened or another process is writing.
        """

    @abstractmethod
    def extract(self, con: Connection, schema: str) -> AbstractContextManager[Extract]:
        """Open a schema, in one state, for extraction; `con` is a connection of this warehouse's.

        Raises WarehouseError when the warehouse fails on the way.
        """

    @abstractmethod
    def profile(self, schema: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return dbt's settings for building into a schema, and its environment variables.

        What is secret is in the variables alone. Raises WarehouseError when the warehouse cannot
        be reached, where that has to be known.
        """

    @abstractmethod
    def advice(self, message: str) -> str:
        """Return one line, with what to do about it, for an error message of the engine's."""

    def check_ready(self) -> None:  # noqa: B027 - most engines need nothing
        """Check that models can run, as far as that can be known before they do.

        Raises InstallError without dbt, WarehouseError for what else an engine lacks.
        """

    def examine(self) -> Iterator[str]:
        """Yield what is sound beyond a connection, a line each; only clusters have such parts.

        Raises WarehouseError for the first part that is not.
        """
        return iter(())

    def shared_builds(self, spec_name: str) -> SharedBuilds | None:
        """Return the builds that a server keeps for other machines; None where there is no server.

        They are then fetched, and the copy here is all that readers have of them.
        """
        del spec_name
        return None

    def can_build_incrementally(self, spec: Spec, files: Mapping[str, str], since: date) -> bool:
        """Return whether the models that stand can be brought up to date from a day on."""
        del spec, files, since
        return True

    def prepare(  # noqa: B027 - most engines need nothing
        self,
        spec: Spec,
        project: Path,
        files: Mapping[str, str],
        since: date | None,
        *,
        only: str = "",
    ) -> None:
        """Bring what was loaded to where models run: nothing to do where they read it themselves.

        project: the folder of the rendered project, which dbt is about to run. files: what is
        rendered. since: the first day that is to be rebuilt; all when None. only: the one model
        that is.
        """

    def register_model(self, con: Connection, spec: Spec, name: str) -> None:  # noqa: B027 - as above
        """Let a connection of this warehouse's own read a model's table: it does already."""

    def models(self, con: Connection, spec: Spec) -> AbstractContextManager[Connection]:
        """Open a connection that sees the tables that models made; `con` itself where it does.

        Raises WarehouseError when it cannot be opened.
        """
        del spec
        return nullcontext(con)

    def location(self, schema: str) -> str:
        """Return the folder that a schema's tables are files of; empty where they are none."""
        del schema
        return ""

    def settings_beside(self) -> Settings:
        """Return the settings of a DuckDB in memory that works beside this warehouse."""
        return {
            "memory_limit": memory_limit(self.memory),
            "temp_directory": str(self.files / "spill"),
            "autoinstall_known_extensions": False,
        }


@contextmanager
def sole_writer(warehouse: Warehouse) -> Iterator[Lock]:
    """Keep other writers out until the end, as `Warehouse.writing` does, and let ours in again.

    What belongs together, such as a demo's claim, load and build, is so one writer's: each of the
    steps asks for itself, and gets it where the whole has it already.
    Raises WarehouseError when another process, or another thread, is writing.
    """
    held = _HELD.get()
    if warehouse.name in held:
        yield held[warehouse.name]
        return
    with warehouse.writing() as lock:
        token = _HELD.set({**held, warehouse.name: lock})
        try:
            yield lock
        finally:
            _HELD.reset(token)


def is_held(warehouse: Warehouse) -> bool:
    """Return whether this thread is the one that keeps other writers out."""
    return warehouse.name in _HELD.get()
