"""Every way in which libpq is told where to connect reaches dbt; roles have what the guide says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.homes import Home
from whyrank.warehouse.open import open_warehouse

from .conftest import BUILD, PASSWORD, Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-runs")]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "postgres.md"


@pytest.fixture
def place(copy: tuple[str, Home], postgres: Server) -> tuple[str, Home, int]:
    """A database with something to build, its folder, and the server's port."""
    url, home = copy
    return url.rpartition("/")[2], home, postgres.port


@pytest.mark.parametrize(
    "way",
    [
        "PGPASSFILE",
        "PGSERVICE",
        "socket",
        *(pytest.param(way, marks=pytest.mark.slow) for way in ("PGPASSWORD", "home", "PGHOST")),
        pytest.param("hosts", marks=pytest.mark.slow),
    ],
)
def test_each_way_to_say_where(
    place: tuple[str, Home, int], postgres: Server, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, way: str,
) -> None:  # fmt: skip
    """What is not in the URL is in one place alone; a build has to find it."""
    name, home, port = place
    here = f"127.0.0.1:{port}"
    url = {
        "PGPASSWORD": f"postgresql://whyrank@{here}/{name}",
        "PGPASSFILE": f"postgresql://whyrank@{here}/{name}",
        "home": f"postgresql://whyrank@{here}/{name}",
        "PGHOST": f"postgresql:///{name}",
        "PGSERVICE": f"postgresql:///{name}",
        "socket": f"postgresql://whyrank@/{name}?host={postgres.folder}&port={port}",
        "hosts": f"postgresql://whyrank@127.0.0.1:1,{here}/{name}",
    }[way]
    monkeypatch.setenv("HOME", str(tmp_path))
    passwords = tmp_path / ("elsewhere" if way == "PGPASSFILE" else ".pgpass")
    if way in {"PGPASSFILE", "home"}:
        passwords.write_text(f"127.0.0.1:{port}:{name}:whyrank:{PASSWORD}\n")
        passwords.chmod(0o600)
    service = tmp_path / "services"
    service.write_text(
        f"[shop]\nhost=127.0.0.1\nport={port}\nuser=whyrank\npassword={PASSWORD}\n"
        "options=-c geqo=off\n"
    )
    variables = {
        "PGPASSFILE": {"PGPASSFILE": str(passwords)},
        "home": {},
        "PGHOST": {
            "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "whyrank", "PGPASSWORD": PASSWORD,
        },
        "PGSERVICE": {"PGSERVICE": "shop", "PGSERVICEFILE": str(service)},
    }.get(way, {"PGPASSWORD": PASSWORD})  # fmt: skip
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    done = home.run(*BUILD, "--warehouse", url)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    for path in home.folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def test_options_and_settings_without_a_place_in_dbts_profile_reach_it(
    place: tuple[str, Home, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked what dbt's connection has; our time zone is kept over theirs."""
    name, home, port = place
    url = f"postgresql://whyrank:s3cret%2Fof%40tests@127.0.0.1:{port}/{name}"
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("create table seen (application text, zone text, work_mem text, geqo text)")
        con.execute(
            "create function note() returns trigger language plpgsql as $$ begin insert into seen "
            "values (current_setting('application_name'), current_setting('timezone'), "
            "current_setting('work_mem'), current_setting('geqo')); return null; end $$"
        )
        con.execute(
            "create trigger note after delete on saas_marts.sessions execute function note()"
        )
    monkeypatch.setenv("PGOPTIONS", "-c geqo=off")  # the URL's options stand in its place
    options = "-c%20work_mem%3D7MB%20-c%20timezone%3DAsia%2FKathmandu"
    asked = f"{url}?application_name=ours&options={options}&connect_timeout=7"
    done = home.run(*BUILD, "--warehouse", asked)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url) as con:
        assert con.execute("select * from seen").fetchall() == [("ours", "UTC", "7MB", "on")]
    monkeypatch.setenv("PGSSLCRL", str(tmp_path / "revoked"))
    store = open_warehouse(f"{asked}&keepalives_idle=9")
    target, variables = store.profile("s")
    assert variables["PGSSLCRL"] == str(tmp_path / "revoked")
    assert (target["keepalives_idle"], target["connect_timeout"]) == (9, 7)


@pytest.fixture
def roles(place: tuple[str, Home, int], postgres: Server) -> Iterator[tuple[str, str]]:
    """The two roles of the guide, made by the guide's own statements."""
    name, _, _ = place
    text = GUIDE.read_text(encoding="utf-8")
    block = re.search(r"((?:    .*\n)*    create role(?:.*\n    )+.*\n)", text)
    assert block
    statements = (
        block[1].replace("'…'", f"'{PASSWORD}'").replace("database shop", f"database {name}")
    )
    with psycopg.connect(postgres.url(name), autocommit=True) as con:
        con.execute("drop schema saas_landing, saas_marts, saas_published cascade")
        con.execute(f"revoke all on database {name} from public")
        con.execute(statements)
    yield "whyrank_build", "whyrank_read"
    with psycopg.connect(postgres.url(name), autocommit=True) as con:
        for role in ("whyrank_build", "whyrank_read"):
            con.execute(f"drop owned by {role}")
            con.execute(f"drop role {role}")


def test_the_roles_of_the_guide(
    place: tuple[str, Home, int], roles: tuple[str, str], tmp_path: Path
) -> None:
    """One may load and build; the other score what is published, again after a later build."""
    name, home, port = place
    build, read = (f"postgresql://{r}:s3cret%2Fof%40tests@127.0.0.1:{port}/{name}" for r in roles)
    elsewhere = Home(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    for file in ("events.csv", "late.csv"):
        for words in (("ingest", file), ("build",), ("doctor",)):
            done = home.run(*words, "--warehouse", build)
            assert done.returncode == 0, done.stdout + done.stderr
        done = elsewhere.run("score", "--warehouse", read)
        assert done.returncode == 0, done.stderr
    for words in (("ingest", "late.csv"), ("build",)):
        assert "permission denied" in home.refused(*words, "--warehouse", read)
    with psycopg.connect(read) as con:
        assert con.execute("select count(*) from saas_published.builds").fetchone() == (2,)


def test_a_reader_of_published_tables_alone(
    place: tuple[str, Home, int], postgres: Server, tmp_path: Path
) -> None:
    """The guide's narrower grants are given once, and hold for a later build."""
    name, home, port = place
    text = GUIDE.read_text(encoding="utf-8")
    grants = re.findall(r"^    (.*saas_published.*;)$", text, re.MULTILINE)
    assert len(grants) == 3
    reader = f"postgresql://whyrank_read:s3cret%2Fof%40tests@127.0.0.1:{port}/{name}"
    owner = postgres.url(name)
    elsewhere = Home(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    with psycopg.connect(owner, autocommit=True) as con:
        con.execute(f"create role whyrank_read login password '{PASSWORD}'")
        try:
            for grant in grants:
                con.execute(grant.replace("whyrank_build", "whyrank"))
            for _ in range(2):
                done = elsewhere.run("score", "--warehouse", reader)
                assert done.returncode == 0, done.stderr
                assert home.run("build", "--warehouse", owner).returncode == 0
            with psycopg.connect(reader) as mine, pytest.raises(psycopg.Error, match="denied"):
                mine.execute("select * from saas_landing.events")
        finally:
            con.execute("drop owned by whyrank_read")
            con.execute("drop role whyrank_read")
