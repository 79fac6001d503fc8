"""Files are written whole or not at all, in their place, with their mode, one set at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from whyrank.errors import WarehouseError
from whyrank.files import atomic_write, atomic_write_set, sole_user, temporary_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def write(path: Path, text: str = "new") -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def write_set(folder: Path, main: str, names: tuple[str, ...], text: str) -> None:
    others = [folder / name for name in ("a.csv", "b.csv", "c.csv")]
    with atomic_write_set(folder / main, others) as place:
        for name in (main, *names):
            write(place / name, text)


@pytest.mark.parametrize("value", [0o077, 0o027, 0o022, 0o002])
def test_new_files_have_the_mode_that_the_process_gives(tmp_path: Path, value: int) -> None:
    with umask(value):
        write(tmp_path / "one.csv")
        write_set(tmp_path, "top.csv", ("a.csv",), "x")
    for name in ("one.csv", "top.csv", "a.csv"):
        assert mode(tmp_path / name) == 0o666 & ~value
    assert {path.name for path in tmp_path.iterdir()} == {"one.csv", "top.csv", "a.csv"}


def test_files_keep_their_mode_and_links_lead_where_they_led(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name, bits in (("one.csv", 0o600), ("top.csv", 0o640), ("a.csv", 0o604)):
        real = tmp_path / "far" / name
        real.write_text("old")
        real.chmod(bits)
        (tmp_path / name).symlink_to(real)
    write(tmp_path / "one.csv")
    with atomic_write_set(tmp_path / "top.csv", []) as place:
        write(place / "top.csv")
    for name, bits in (("one.csv", 0o600), ("top.csv", 0o640)):
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).read_text() == "new"
        assert mode(tmp_path / "far" / name) == bits
    (tmp_path / "b.csv").write_text("old")
    (tmp_path / "b.csv").chmod(0o600)
    write_set(tmp_path, "top.csv", ("b.csv",), "again")
    assert mode(tmp_path / "b.csv") == 0o600


def test_a_name_as_long_as_names_may_be_is_written(tmp_path: Path) -> None:
    name = "ü" * 125 + ".csv"
    write(tmp_path / name)
    write_set(tmp_path, name, ("a.csv",), "x")
    assert (tmp_path / name).read_text() == "x"


def test_a_set_leaves_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    write_set(tmp_path, "top.csv", ("a.csv", "b.csv"), "first")
    (tmp_path / "mine.csv").write_text("mine")
    write_set(tmp_path, "top.csv", ("b.csv", "c.csv"), "second")
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"top.csv": "second", "b.csv": "second", "c.csv": "second", "mine.csv": "mine"}


@pytest.mark.parametrize("step", range(6))
def test_a_set_that_is_cut_off_is_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Cut off before each move or removal: what stands is of one set, if not all of it."""
    write_set(tmp_path, "top.csv", ("a.csv", "b.csv"), "first")
    taken = 0
    for name in ("replace", "unlink"):
        real = getattr(Path, name)

        def cut(self: Path, *given: object, real: object = real, **more: object) -> object:
            nonlocal taken
            if self.parent == tmp_path or (given and Path(str(given[0])).parent == tmp_path):
                taken += 1
                if taken > step:
                    raise KeyboardInterrupt
            return real(self, *given, **more)  # type: ignore[operator]

        monkeypatch.setattr(Path, name, cut)
    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path, "top.csv", ("b.csv", "c.csv"), "second")
    monkeypatch.undo()
    assert taken == step + 1
    assert len({path.read_text() for path in tmp_path.glob("*.csv")}) == 1
    assert (tmp_path / "top.csv").exists()


# A name as long as names may be is cut; a store or a marker is written once and never again.
@pytest.mark.parametrize("again", ["top.csv", "another.csv", "ü" * 125 + ".csv"])
def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(
    tmp_path: Path, again: str
) -> None:
    code = (
        "import sys, pathlib, whyrank.files as files\n"
        "with files.atomic_write_set(pathlib.Path(sys.argv[1]), []) as folder:\n"
        "    (folder / 'top.csv').write_text('theirs')\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "top.csv")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        mine = tmp_path / f"{left.name[:-1]}.csv"  # no process holds it, and it is a file
        mine.write_text("mine")
        write(tmp_path / "top.csv", "ours")
        assert (left / "top.csv").read_text() == "theirs"
        other.kill()
    assert left.is_dir()
    write(tmp_path / again, "ours")
    assert {path.name for path in tmp_path.iterdir()} == {"top.csv", again, mine.name}


def test_temporary_folders_of_killed_processes_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists of people and copies of models are put there; what is in use stays."""
    code = (
        "import sys, whyrank.files as files\n"
        "with files.temporary_folder('scoring') as folder:\n"
        "    (folder / 'top_users.csv').write_text('people')\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    (tmp_path / ".mine").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as other:  # fmt: skip
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        assert left.parent == tmp_path
        with temporary_folder("model") as ours:
            assert (left / "top_users.csv").read_text() == "people"
            assert mode(ours) == 0o700
        other.kill()
    assert left.is_dir()
    with temporary_folder("model"):
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".mine"]


def test_a_folder_has_one_user_at_a_time(tmp_path: Path) -> None:
    told: list[str] = []

    def second() -> None:
        with sole_user(tmp_path / "new", lambda: told.append("waiting")):
            told.append("second")

    thread = threading.Thread(target=second)
    with sole_user(tmp_path / "new", lambda: told.append("never")):
        thread.start()
        while not told:
            thread.join(0.001)
        told.append("first")
    thread.join()
    assert told == ["waiting", "first", "second"]
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(WarehouseError, match="file: cannot be used"), sole_user(tmp_path / "file"):
        pass


def test_a_place_that_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WarehouseError, match=r"file/top\.csv: cannot be written"):
        write_set(tmp_path / "file", "top.csv", (), "x")
    said = rf"^{tmp_path}/none/a\.csv: cannot be written"
    with (
        pytest.raises(WarehouseError, match=said),
        atomic_write_set(tmp_path / "top.csv", [tmp_path / "a.csv"]) as place,
    ):
        (place / "none").touch()  # a file where a folder would have to be
        write(place / "none" / "a.csv")
    assert not (tmp_path / "top.csv").exists()
