"""Plant the faults and run the tests; see the package's docstring."""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests import planted_faults

from .faults import FAULTS, Fault, Target

ROOT: Final = Path(__file__).resolve().parents[2]
MARKERS: Final[Mapping[Target, str]] = {
    # make test and make test-commands
    "test": "not slow and not training and not engines and not spark",
    "test-training": "training and not slow",
    "test and test-training": "not slow and not engines and not spark",
    "test-engines": "engines and not slow",
    "test-spark": "spark and not slow",
}
OPTIONS: Final = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "-n", "0")
# As the Makefile runs them: py4j leaves its sockets to the collector.
SPARK_OPTIONS: Final = (
    "-W", "ignore::ResourceWarning", "-W", "ignore::DeprecationWarning",
    "-W", "ignore::pytest.PytestUnraisableExceptionWarning",
)  # fmt: skip
# Hypothesis is to find an example that fails, and not to look for the smallest one, which takes
# minutes; the examples are the same. Loaded last, as conftest.py loads a profile of its own.
QUICK: Final = "planted_quick"
PLUGIN: Final = """
import pytest
from hypothesis import Phase, settings


@pytest.hookimpl(trylast=True)
def pytest_configure():
    found = settings.get_current_profile_name()
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("quick", settings.get_profile(found), phases=phases)
    settings.load_profile("quick")
"""
PASSED, FAILED, NOTHING_RAN = 0, 1, 5  # pytest's exit codes
PATIENCE: Final = 1200.0  # seconds until tests that hang under a fault are ended
MANY: Final = 5  # times that, for all tests on the sound copy
_OUTCOME: Final = re.compile(r"^(FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_SKIPPED: Final = re.compile(r"^SKIPPED .*$", re.MULTILINE)


class CannotTellError(Exception):
    """Nothing can be said of the tests: the copy, a snippet or a test is not as it should be."""


def log(line: str) -> None:
    """Write a line at once, so that a long run can be followed."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def chosen(words: Sequence[str]) -> list[Fault]:
    """Return the faults whose kind begins with one of these words; all when there are none."""
    found = [f for f in FAULTS if not words or f.kind.lower().startswith(tuple(words))]
    for word in words:
        if not any(fault.kind.lower().startswith(word) for fault in FAULTS):
            kinds = ", ".join(dict.fromkeys(f.kind.partition(":")[0] for f in FAULTS))
            raise CannotTellError(f"no fault of the kind {word!r}; there are: {kinds}")
    return found


@contextmanager
def copied(tree: Path) -> Iterator[Path]:
    """Give a copy of a checkout's tracked files, shared data beside it, removed at the end."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=tree, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise CannotTellError(f"{tree}: {listed.stderr.strip()}")
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder) / "main"
        for name in filter(None, listed.stdout.split("\0")):
            if not (tree / name).is_file() or (tree / name).is_symlink():
                continue  # deleted since, or a link, which is made below
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, copy / name)
        (copy / "whyrank").symlink_to("src")
        (Path(folder) / f"{QUICK}.py").write_text(PLUGIN, encoding="utf-8")
        shared = tree.parent / "shared"
        if shared.exists():
            (Path(folder) / "shared").symlink_to(shared.resolve())
        yield copy


def environment(copy: Path) -> dict[str, str]:
    """Return the environment in which `import whyrank` means the copy's, in any process.

    Compiled files are kept beside the copy: tests start many processes, and each would compile
    the package anew.
    """
    path = f"{copy}{os.pathsep}{copy.parent}"
    compiled = {"PYTHONPYCACHEPREFIX": str(copy.parent / "compiled")}
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **compiled, "PYTHONPATH": path}


def check_import(copy: Path) -> None:
    """Raise CannotTellError unless the copy's package is imported, though another is installed."""
    code = "import whyrank; print(whyrank.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=copy.parent, env=environment(copy), capture_output=True, text=True, check=False,
    )  # fmt: skip
    where = done.stdout.strip()
    if not where or Path(where).resolve() != (copy / "src" / "__init__.py").resolve():
        raise CannotTellError(f"import whyrank gives {where or done.stderr}, not that of {copy}")
    log(f"import whyrank: {where}")


def check_snippets(copy: Path, faults: Sequence[Fault]) -> None:
    """Raise CannotTellError unless every snippet is in its file exactly once."""
    for fault in faults:
        file = copy / fault.path
        count = file.read_text(encoding="utf-8").count(fault.old) if file.is_file() else 0
        if count != 1 or fault.old == fault.new:
            raise CannotTellError(
                f"{fault.kind}: its snippet must be in {fault.path} once, and is there {count} "
                f"times: {fault.old!r}"
            )


@contextmanager
def planted(copy: Path, fault: Fault) -> Iterator[None]:
    """Put a fault in its file, and the file back at the end."""
    file = copy / fault.path
    sound = file.read_text(encoding="utf-8")
    write_newer(file, sound.replace(fault.old, fault.new))
    try:
        yield
    finally:
        write_newer(file, sound)


def write_newer(file: Path, text: str) -> None:
    """Write a source file so that none compiled before it is taken for its own.

    Python knows a source by its size and the second of its last change, so a snippet of equal
    length, put in and back within a second, would look unchanged.
    """
    second = int(file.stat().st_mtime) + 1
    file.write_text(text, encoding="utf-8")
    os.utime(file, (second, second))


def run_tests(
    copy: Path, target: Target, tests: Sequence[str], patience: float = PATIENCE
) -> tuple[int | None, str]:
    """Run tests as a target chooses them; return pytest's exit code, None if it did not end."""
    options = (*OPTIONS, *(SPARK_OPTIONS if target == "test-spark" else ()))
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", QUICK, *options, "-m", MARKERS[target], *tests],
        cwd=copy, env=environment(copy), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        said = _ended(process)
        return None, said
    except BaseException:
        _ended(process)
        raise
    return process.returncode, said


def _ended(process: subprocess.Popen[str]) -> str:
    """End pytest by an interrupt, on which it stops the servers it started, then by force."""
    process.send_signal(signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    return said


def end_left(copy: Path) -> None:
    """End what a failed test left running, or stopped: the processes that import the copy."""
    mark = f"PYTHONPATH={environment(copy)['PYTHONPATH']}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def check_sound(copy: Path, faults: Sequence[Fault], *, verbose: bool) -> None:
    """Raise CannotTellError unless all tests pass without a fault, and none is skipped."""
    for target in MARKERS:
        mine = [test for fault in faults if fault.target == target for test in fault.tests]
        tests = list(dict.fromkeys(mine))
        if not tests:
            continue
        began = time.monotonic()
        code, said = run_tests(copy, target, tests, MANY * PATIENCE)
        if verbose:
            log(said)
        if code != PASSED:
            raise CannotTellError(f"{target}: pytest ends with {code} without a fault:\n{said}")
        if skipped := _SKIPPED.findall(said):
            raise CannotTellError(f"{target}: tests were skipped here:\n" + "\n".join(skipped))
        seconds = time.monotonic() - began
        log(f"sound copy: what is named of {target} passes, {len(tests)} names, {seconds:.0f} s")


def check_fault(copy: Path, fault: Fault, *, verbose: bool) -> bool:
    """Plant a fault, run its tests, say what came of it; return whether it was caught."""
    began = time.monotonic()
    with planted(copy, fault):
        try:
            code, said = run_tests(copy, fault.target, fault.tests)
        finally:
            end_left(copy)
    seconds = time.monotonic() - began
    if verbose:
        log(said)
    log(
        f"{fault.kind} | {fault.path} | {told(fault)} | {fault.target} | "
        f"{verdict(code, said)} | {seconds:.0f} s"
    )
    return code == FAILED


def verdict(code: int | None, said: str) -> str:
    """Return what pytest's end says of a fault."""
    if code == PASSED:
        return "NOT caught"
    if code is None:
        return f"BROKEN: no end within {PATIENCE:.0f} s"
    found = _OUTCOME.search(said)
    if code != FAILED or found is None:
        return f"BROKEN: pytest ended with {code}"
    return f"caught by {found[2]}" + (" (before it began)" if found[1] == "ERROR" else "")


def told(fault: Fault) -> str:
    """Return what was planted, in one line: where the old and the new snippet differ."""
    old, new = (" ".join(text.split()) for text in (fault.old, fault.new))
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    # Whole words: from the blank before the first difference to the one after the last.
    start = old.rfind(" ", 0, start) + 1
    after = old.find(" ", len(old) - end)
    end = 0 if after < 0 else len(old) - after
    was, becomes = (_short(text[start : len(text) - end].strip()) for text in (old, new))
    return f"{was or 'nothing'} -> {becomes or 'nothing'}"


def _alike(one: str, other: str) -> int:
    """Return with how many letters two texts begin alike."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def one_a_kind(faults: Sequence[Fault], seed: int) -> list[Fault]:
    """Return one fault of each kind, drawn."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind.partition(":")[0], []).append(fault)
    rng = random.Random(seed)  # noqa: S311 - a sample
    return [rng.choice(each) for each in kinds.values()]


@contextmanager
def copies(tree: Path, jobs: int) -> Iterator[list[Path]]:
    """Give as many copies of a checkout as faults are planted at a time."""
    with ExitStack() as stack:
        made = [stack.enter_context(copied(tree)) for _ in range(max(1, jobs))]
        for copy in made:
            check_import(copy)
        yield made


def caught_of(
    copies: Sequence[Path], faults: Sequence[Fault], check: Callable[[Path, Fault], bool]
) -> int:
    """Check faults, as many at a time as there are copies; return how many were caught."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def checked(fault: Fault) -> bool:
        copy = free.get()
        try:
            return check(copy, fault)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        try:
            return sum(pool.map(checked, faults))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for copy in copies:
                end_left(copy)
            raise


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.planted_faults",
        description=planted_faults.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="KIND", help="kinds to plant")
    parser.add_argument("--one-a-kind", action="store_true", help="of each kind one, by --seed")
    parser.add_argument("--seed", type=int, default=0, help="of --one-a-kind")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many at a time")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout; else this one")
    parser.add_argument("--list", action="store_true", help="list the faults, and plant none")
    parser.add_argument("--verbose", action="store_true", help="show all that pytest says")
    return parser.parse_args(arguments)


def main() -> int:
    """Plant the faults that were asked for; return the exit code."""
    asked = parsed()
    try:
        faults = chosen([word.lower() for word in asked.only])
        if asked.one_a_kind:
            faults = one_a_kind(faults, asked.seed)
        if asked.list:
            for fault in faults:
                log(f"{fault.kind} | {fault.path} | {told(fault)} | {fault.target} | "
                    f"{' '.join(fault.tests)}")  # fmt: skip
            return 0
        with copies(asked.tree.resolve(), asked.jobs) as made:
            check_snippets(made[0], faults)
            check_sound(made[0], faults, verbose=asked.verbose)
            caught = caught_of(made, faults, partial(check_fault, verbose=asked.verbose))
    except CannotTellError as error:
        log(f"error: {error}")
        return 2
    log(f"{caught} of {len(faults)} faults caught")
    return 0 if caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
