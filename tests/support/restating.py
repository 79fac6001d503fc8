"""What loads leave behind, said in plain Python, and random sequences of loads to say it of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from hypothesis import strategies as st

COLUMNS = "event_id,user_id,event_time,event_name,value,geo"
TIMES = ("2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999999Z", "2026-03-02T00:30:00+01:00",
         "2026-03-02T00:00:00Z", "2026-03-03T12:00:00Z", "no time")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of a file: its cells, as they are written."""

    event_id: str
    user_id: str
    event_time: str
    value: str
    geo: str

    @property
    def line(self) -> str:
        return f"{self.event_id},{self.user_id},{self.event_time},view,{self.value},{self.geo}"

    @property
    def fits(self) -> bool:
        return self.event_time != "no time"

    @property
    def content(self) -> tuple[object, ...]:
        """What the row says besides its id, as the landing table holds it."""
        time = datetime.fromisoformat(self.event_time)
        moved = time - (time.utcoffset() or time.resolution * 0)
        value = float(self.value) if self.value else None
        return self.user_id, moved.replace(tzinfo=None), value, self.geo or None


@dataclass(frozen=True)
class Load:
    """A file, and whether it is said to hold all events of its days."""

    rows: tuple[Row, ...]
    restate: bool

    def write(self, path: Path) -> Path:
        path.write_text("\n".join([COLUMNS, *(row.line for row in self.rows)]) + "\n")
        return path


ROWS = st.builds(
    Row,
    event_id=st.sampled_from(["", "", "a", "b", "c", "d"]),
    user_id=st.sampled_from(["u", "v"]),
    event_time=st.sampled_from(TIMES),
    value=st.sampled_from(["", "1", "2.5"]),
    geo=st.sampled_from(["", "DE"]),
)
LOADS = st.builds(
    Load, rows=st.lists(ROWS, min_size=1, max_size=7).map(tuple), restate=st.booleans()
)


@st.composite
def sequences(draw: st.DrawFn) -> list[Load]:
    """Loads, of which some are an earlier file once more, restating or not."""
    loads = draw(st.lists(LOADS, min_size=2, max_size=5))
    again = draw(st.lists(st.tuples(st.sampled_from(loads), st.booleans()), max_size=3))
    return [*loads, *(Load(load.rows, restate) for load, restate in again)]


@dataclass
class Model:
    """The rule: what stands, what was withdrawn, and how many rows of a load went where.

    A key is an id, or of a row without one its content and how often that came before in the file.
    """

    standing: dict[object, tuple[object, ...]] = field(default_factory=dict)
    withdrawn: list[tuple[object, ...]] = field(default_factory=list)
    known: set[object] = field(default_factory=set)

    def take(self, load: Load) -> tuple[int, int, int, int]:
        """Take a load; return how many rows were accepted, duplicate, quarantined, withdrawn."""
        seen: Counter[object] = Counter()
        arriving: dict[object, tuple[object, ...]] = {}
        fitting = [row for row in load.rows if row.fits]
        for row in fitting:
            seen[row.content] += not row.event_id
            key = row.event_id or (row.content, seen[row.content])
            arriving.setdefault(key, row.content)
        gone = []
        if load.restate:
            days = {_day(content) for content in arriving.values()}
            for key, old in self.standing.items():
                reached = _day(old) in days or key in arriving
                if reached and arriving.get(key) != old:
                    gone.append(key)
            self.withdrawn += [self.standing.pop(key) for key in gone]
        refused = self.standing if load.restate else self.known
        new = {key: content for key, content in arriving.items() if key not in refused}
        self.standing |= new
        self.known |= set(new)
        quarantined = len(load.rows) - len(fitting)
        return len(new), len(fitting) - len(new), quarantined, len(gone)


def ordered(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return sorted((tuple(row) for row in rows), key=repr)


CONTENT = "user_id, event_time, value, geo"


def _day(content: tuple[object, ...]) -> date:
    time = content[1]
    assert isinstance(time, datetime)
    return time.date()
