"""Whose a file is: a list that whyrank wrote may be replaced by the next one, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import UsageError

# What the first line of a list begins with, and of what stands beside it.
_BEGINNINGS = (
    b"rank,user_id,", b"user_id,probability,expected_spend,", b"user_id,as_of,",
    b"user_id,user_key,",
)  # fmt: skip
_SCORES = ["rank", "user_id", "score", "label"]
_PICTURE = (b"\x89PNG\r\n\x1a\n", b"Matplotlib")


_OTHERWISE = "move it away, or choose another name"


def refuse_foreign(paths: Sequence[Path], otherwise: str = _OTHERWISE) -> None:
    """Raise UsageError for the first of these files that is there and that whyrank did not write.

    Told by what is in it: the columns of a CSV or Parquet file, the program that drew a picture.
    otherwise: what the error says to do.
    """
    for path in paths:
        if path.exists() and not path.is_file():
            kind = "folder" if path.is_dir() else "device or pipe"
            raise UsageError(f"{path}: is a {kind}: name a file")
        if path.exists() and not _is_ours(path):
            raise UsageError(
                f"{path}: is no list of whyrank's, and would be replaced by one: {otherwise}"
            )


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if start.startswith(b"PAR1"):
        try:
            return list(pq.read_schema(path).names)[: len(_SCORES)] == _SCORES
        except (OSError, pa.ArrowException):
            return False
    if start.startswith(_PICTURE[0]):
        return _PICTURE[1] in start
    return not start or start.replace(b'"', b"").startswith(_BEGINNINGS)
