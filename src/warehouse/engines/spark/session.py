"""Sessions on a Spark master: what they need, what they mean by SQL, and what their errors say."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....errors import WarehouseError
from ....extras import require
from ....files import scratch_folder
from ...contracts import Cursor

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

SCHEME: Final = "spark://"
JAVA: Final = (17, 21)
# Times are UTC without a zone, names stand in double quotes, and what cannot be is an error.
MEANING: Final[Mapping[str, str]] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.catalogImplementation": "in-memory",
    # A table that a killed run left behind is written over.
    "spark.sql.legacy.allowNonEmptyLocationInCTAS": "true",
    # The most frequent of many (10,000 texts of a feature) are found in each part first.
    "spark.sql.optimizer.windowGroupLimitThreshold": "10000",
    "spark.ui.enabled": "false",
    # A training that lost a worker's cores for good is told so within a minute.
    "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "5s",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "10",
}
_ANSWER_SECONDS: Final = 5.0
_WORKER_SECONDS: Final = 60.0
_SETTLED_SECONDS: Final = 1.0
_GUIDE: Final = "see docs/guides/spark.md"
# What an error says, and what it means to the one who reads it; the first that fits.
_ADVICE: Final = (
    (
        r"PYTHON_VERSION_MISMATCH\D*([\d.]+)\D+([\d.]+)",
        r"workers run Python \1 and the driver \2: start the driver with the workers' version, or "
        "point PYSPARK_PYTHON at another on the workers",
    ),
    (
        r"ModuleNotFoundError: No module named '([\w.]+)'",
        r"a worker's Python has no package \1: install whyrank[spark] there, or ship it an "
        f"environment ({_GUIDE})",
    ),
    (
        r'Cannot run program "([^"]+)"',
        r"a worker has no Python at \1: install one there, or name another by PYSPARK_PYTHON",
    ),
    (
        r"(?:OutOfMemoryError|Java heap space|\bMemoryError\b|killed by YARN|\bOOM(?:Killed)?\b"
        r"|Python worker exited unexpectedly)",
        "memory ran out: raise spark.executor.memory (or spark.driver.memory), or "
        f"spark.sql.shuffle.partitions, in spark-defaults.conf ({_GUIDE})",
    ),
    (
        r"(?i)no space left on device",
        "a disk is full: free space in the shared folder and in the workers' spark.local.dir",
    ),
    (
        r"barrier stage that requires more slots",
        "workers were lost, and those left have fewer cores than the training asks for: start "
        "them again, then run this again",
    ),
    (
        r"(?:All masters are unresponsive|SparkContext was shut down|stopped SparkContext"
        r"|Answer from Java side is empty|Connection refused)",
        "the connection to the master, or the driver itself, was lost: see that the cluster runs, "
        "then run this again",
    ),
    (
        r"(?:ExecutorLostFailure|FetchFailed|[Ww]orker lost|[Hh]eartbeat timed out)",
        "workers were lost more often than Spark tries again: see that they run, then run this "
        "again",
    ),
)


class _Rows:
    """What a statement gave back, fetched."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        row = next(self._rows, None)
        return None if row is None else tuple(row)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return [tuple(row) for row in self._rows]


class SparkConnection:
    """A session in which statements are run as on DuckDB, parameters marked by ?."""

    def __init__(self, session: SparkSession) -> None:
        self.session = session

    def execute(self, query: Any, parameters: Any = None, /) -> Cursor:
        """Run one statement and fetch what it gives, which had better be little."""
        return _Rows(self.session.sql(query, args=list(parameters or ())).collect())


def open_session(master: str, settings: Mapping[str, str]) -> SparkSession:
    """Return this process's Spark session on a master, with our meaning of SQL.

    settings: more of Spark's own. Workers run the Python that runs us, unless PYSPARK_PYTHON says
    otherwise. Raises WarehouseError when something that Spark needs is missing, nobody answers at
    the master's address, or no worker takes the session within a minute.
    """
    refuse_without_spark()
    refuse_unreachable(master)
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("whyrank")
    # A machine that is its own cluster need not know its name in a network.
    here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    alone = here if master.startswith("local") else {}
    for key, value in {**MEANING, **alone, **settings}.items():
        builder = builder.config(key, value)
    with spark_errors(master):
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        if not master.startswith("local"):
            _await_worker(session, master)
    return session


def end_session(session: SparkSession) -> None:
    """End a session and the JVM behind it, whose memory PySpark would keep for the next one."""
    from pyspark import SparkContext

    with suppress(Exception):  # of a driver that died, there is nothing to end
        session.stop()
    gateway = SparkContext._gateway  # noqa: SLF001 - nothing public ends it
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001
    if gateway is not None:
        with suppress(Exception):
            gateway.shutdown()
        gateway.proc.stdin.close()  # which it ends at
        gateway.proc.wait()


def check_workers(session: SparkSession, folder: Path) -> str:
    """Return what runs on the workers: "Python 3.11.4, whyrank 0.3.0, 2 cores".

    folder: that all machines are to share. Raises WarehouseError for a worker whose Python or
    whyrank is not the driver's, or that does not see the folder or may not write to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cores = slots(session)
    with scratch_folder(folder.resolve() / "check") as shared:
        shared.chmod(folder.stat().st_mode & 0o777)
        rows = _told_by_workers(session, cores, str(shared))
    ours = metadata.version("whyrank")
    for row in rows:
        if row["whyrank"] != ours:
            there = f"whyrank {row['whyrank']}" if row["whyrank"] else "no package whyrank"
            raise WarehouseError(
                f"worker {row['host']} has {there}, and the driver has {ours}: install "
                f"whyrank[spark] {ours} there, or ship it an environment ({_GUIDE})"
            )
        if row["problem"]:
            raise WarehouseError(
                f"worker {row['host']} cannot write to {folder.resolve()} ({row['problem']}): the "
                "folder has to be there, under this path and for this user, on all machines"
            )
    return f"Python {rows[0]['python']}, whyrank {ours}, {cores} cores"


def _told_by_workers(session: SparkSession, cores: int, place: str) -> list[Row]:
    """Ask every worker for its host, Python and whyrank, and why it cannot write to a folder."""
    import pyarrow as pa

    def told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Travels to workers by its text, so that it runs where nothing of ours is installed."""
        import os
        import platform
        import time
        from importlib import metadata

        for _ in batches:
            try:
                version = metadata.version("whyrank")
            except metadata.PackageNotFoundError:
                version = ""
            problem = ""
            try:
                os.mkdir(f"{place}/{os.getpid()}-{time.time_ns()}")  # noqa: PTH102 - by value
            except OSError as error:
                problem = str(error.strerror)
            row = (platform.node(), platform.python_version(), version, problem)
            names = ("host", "python", "whyrank", "problem")
            yield pa.RecordBatch.from_pydict(
                {name: [value] for name, value in zip(names, row, strict=True)}
            )

    kinds = "host string, python string, whyrank string, problem string"
    with spark_errors(str(session.sparkContext.master)):
        # More than one task for each core, so that no worker is left out.
        asked = session.range(4 * cores, numPartitions=4 * cores)
        rows: list[Any] = asked.mapInArrow(told, kinds).distinct().collect()
    return rows


def in_backticks(name: str) -> str:
    """Return a column's name as data frames of Spark's read it, or a path as its SQL does.

    >>> in_backticks("a.b")
    '`a.b`'
    """
    return f"`{name.replace('`', '``')}`"


def slots(session: SparkSession) -> int:
    """Return how many tasks run at once: the cores that the session has by now, at least one.

    Spark's own defaultParallelism says two where there is one, and a training waits for both.
    """
    context = session.sparkContext._jsc.sc()  # noqa: SLF001 - Python's side does not tell
    profile = context.resourceProfileManager().defaultResourceProfile()
    return max(1, int(context.maxNumConcurrentTasks(profile)))


@contextmanager
def spark_errors(where: str) -> Iterator[None]:
    """Turn Spark's errors into WarehouseErrors of one line."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JError, PySparkException, OSError, RuntimeError) as error:
        raise WarehouseError(f"Spark at {where}: {spark_advice(str(error))}") from None
    except ValueError as error:
        if type(error).__name__ != "XGBoostError":  # which is not worth importing xgboost for
            raise
        raise WarehouseError(f"Spark at {where}: {spark_advice(str(error))}") from None


def spark_advice(message: str) -> str:
    """Return one line, with what to do about it, for an error message of Spark's.

    >>> spark_advice("Exception: … java.lang.OutOfMemoryError: Java heap space")[:40]
    'memory ran out: raise spark.executor.mem'
    """
    message = message.partition("== SQL")[0]  # which names what is the user's own
    for pattern, told in _ADVICE:
        found = re.search(pattern, message)
        if found:
            return found.expand(told)
    # What a worker's Python raised says more than that it raised something.
    raised = re.findall(r"^(?:\w+\.)*\w+(?:Error|Exception): .+$", message, re.MULTILINE)
    if "Traceback" in message and raised:
        return f"a worker failed: {raised[-1]}"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("at ", "An error occurred while"))]
    return kept[0] if kept else "no reason was given"


def refuse_without_spark() -> None:
    """Check that Spark, its dbt adapter and a Java that it runs on are there.

    Raises InstallError without the extra, WarehouseError without Java.
    """
    require("spark", "a spark:// warehouse")
    java = os.environ.get("JAVA_HOME", "")
    program = shutil.which(str(Path(java) / "bin" / "java") if java else "java")
    where = f"JAVA_HOME={java}" if java else "the PATH"
    wanted = "install Java 17 or 21 (Debian: openjdk-17-jre-headless) or point JAVA_HOME at one"
    if program is None:
        raise WarehouseError(f"Spark runs on Java, and {where} has none: {wanted}")
    # What it is, is said on the standard error of a program that is the user's own.
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise WarehouseError(f"{program} does not run: {error.strerror}: {wanted}") from None
    found = re.search(r'version "(\d+)', said.stderr)
    if not found or int(found[1]) not in JAVA:
        version = f"is Java {found[1]}" if found else "is no Java that answers to -version"
        raise WarehouseError(f"Spark 4.0 runs on Java 17 and 21, and {program} {version}: {wanted}")


def refuse_unreachable(master: str) -> None:
    """Raise WarehouseError unless one of the master's addresses takes a connection.

    Spark itself would try for a minute, and then fail on something else. A machine that is its own
    cluster is always there.
    """
    if not master.startswith(SCHEME):
        return
    reasons = []
    for address in master.removeprefix(SCHEME).split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
        except OSError as error:
            reasons.append(f"{address}: {error.strerror or error}")
        else:
            return
    raise WarehouseError(
        f"no Spark master answers ({'; '.join(reasons)}): start one, or see that the address is "
        "right and no firewall stands between"
    )


def _await_worker(session: SparkSession, master: str) -> None:
    """Wait until a worker has taken the session, and those that come within a second of another.

    A training has as many tasks as there are cores when it begins. Raises WarehouseError when no
    worker takes the session.
    """
    jvm = session.sparkContext._jsc.sc()  # noqa: SLF001 - Python's side does not tell
    until = time.monotonic() + _WORKER_SECONDS
    before, since = 1, time.monotonic()  # the driver is one
    while before == 1 or time.monotonic() < since + _SETTLED_SECONDS:
        found = jvm.getExecutorMemoryStatus().size()
        if found > before:
            before, since = found, time.monotonic()
        if before == 1 and time.monotonic() > until:
            end_session(session)
            raise WarehouseError(
                f"no worker of {master} took the session within {_WORKER_SECONDS:.0f} s: see on "
                "the master's page that workers are alive and have cores and memory free "
                "(spark.executor.memory)"
            )
        time.sleep(0.1)
