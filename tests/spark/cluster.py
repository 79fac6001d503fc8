"""A standalone cluster on loopback: a master and workers of one core, each a group of processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

# A JVM of a few minutes: compiled quickly rather than well, its garbage collected by one thread.
SHORT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Without it Spark starts a task for each day's folder to see what is in it.
LISTED_BY_THE_DRIVER = ("spark.sql.sources.parallelPartitionDiscovery.threshold", "10000")
# Hadoop sets a file's permissions by a process each: VFORK is the lighter way to start one.
DEFAULTS = f"""\
spark.driver.memory 1g
spark.executor.memory 1g
spark.sql.shuffle.partitions 4
spark.network.timeout 60s
{" ".join(LISTED_BY_THE_DRIVER)}
spark.driver.extraJavaOptions {SHORT} -Djdk.lang.Process.launchMechanism=VFORK
spark.executor.extraJavaOptions {SHORT} -Djdk.lang.Process.launchMechanism=VFORK
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Cluster:
    """What runs: its master's address, its workers' processes, and the environment of drivers."""

    def __init__(self, folder: Path, defaults: str, memory: str) -> None:
        import pyspark

        self.folder = folder
        self.port, self._page = free_port(), free_port()
        self.master = f"spark://127.0.0.1:{self.port}"
        conf = folder / "conf"
        conf.mkdir(parents=True)
        (conf / "spark-defaults.conf").write_text(defaults)
        self.settings = {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_CONF_DIR": str(conf),
            "SPARK_LOCAL_DIRS": str(folder / "local"),
            "SPARK_DAEMON_JAVA_OPTS": SHORT,
            "SPARK_LAUNCHER_OPTS": SHORT,
            # Nothing may follow the machine's zone, least of all the night of a change of hour.
            "TZ": "America/New_York",
        }
        self._memory = memory
        self._program = Path(pyspark.__file__).parent / "bin" / "spark-class"
        self._started = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self._start(
            "master", "org.apache.spark.deploy.master.Master",
            "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", str(self._page),
        )  # fmt: skip

    def add_worker(self) -> None:
        """Start one more worker."""
        worker = self._start(
            "worker", "org.apache.spark.deploy.worker.Worker",
            "--host", "127.0.0.1", "--webui-port", "0", "--cores", "1",
            "--memory", self._memory, "--work-dir", str(self.folder / "work"), self.master,
        )  # fmt: skip
        self.workers.append(worker)

    def kill_worker(self) -> None:
        """Kill a worker and its executors, as a machine that loses its power."""
        worker = self.workers.pop()
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def wait(self) -> None:
        """Wait until the master knows as many workers as there are."""
        deadline = time.monotonic() + 600
        while self._alive() != len(self.workers):
            assert time.monotonic() < deadline, self._logs()
            for process in self._processes:
                if process not in self.workers and process.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(0.2)  # the master: only a pause

    def stop(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _alive(self) -> int:
        with suppress(OSError, ValueError):
            return int(self._told()["aliveworkers"])
        return -1

    def _told(self) -> dict[str, object]:
        with urlopen(f"http://127.0.0.1:{self._page}/json/", timeout=5) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def _start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        self._started += 1
        with (self.folder / f"{name}-{self._started}.log").open("w") as log:
            process = subprocess.Popen(
                [str(self._program), *words],
                env={**os.environ, **self.settings}, cwd=self.folder,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def _logs(self) -> str:
        return "\n".join(log.read_text()[-1000:] for log in sorted(self.folder.glob("*.log")))


@contextmanager
def running(
    folder: Path, workers: int = 2, *, defaults: str = DEFAULTS, memory: str = "2g"
) -> Iterator[Cluster]:
    """Run a cluster until the end of the block.

    defaults: of Spark's settings. memory: of a worker, for its executors.
    """
    cluster = Cluster(folder, defaults, memory)
    try:
        for _ in range(workers):
            cluster.add_worker()
        cluster.wait()
        yield cluster
    finally:
        cluster.stop()
