"""No secret in anything that is told, however an address is written."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from whyrank.cli.output import Terminal
from whyrank.scrub import scrub

SECRETS = [
    "s3cret", "se/cret", "se@cret", "s:e/c@r#et?", "p%40ss", "=x&y", "日本語", "a.b-c_d~e",
    "it's", 'say"it', "two words",
]  # fmt: skip
ADDRESSES = [
    "postgresql://ana:{}@db:5432/shop",
    "postgresql+psycopg://ana:{}@db/shop?sslmode=require",
    "postgres://ana:{}@[::1]/shop",
    "http://ana:{}@mlflow:5000",
    "https://ana:{}@mlflow/base/",
    "spark://u:{}@master:7077",
    "mysql://:{}@db/x",
    "ana:{}@db/shop",
    "postgresql:ana:{}@db",
    "POSTGRESQL://ana:{}@db",
    "//ana:{}@db/shop",
]
PAIRS = [
    "host=db user=ana password={} dbname=shop",
    "connection failed: sslpassword={} refused",
    "http://mlflow:5000/?token={}&x=1",
    "https://mlflow/?api_key={}",
    "{{'token': '{}'}}",
    "https://bucket/log.csv?X-Amz-Credential={}&X-Amz-Date=1",
    "https://bucket/log.csv?X-Amz-Signature={}",
    "https://blob/log.csv?sv=1&sig={}",
    "AccountKey={}; EndpointSuffix=x",
    "export PGPASSWORD={}",
    "aws_secret_access_key = {}",
    "https://{}@host/runs",
    "whyrank score --password {} refused",
    "password: {}",
    "pass={} refused",
    "Authorization: Bearer {}xxxxxxxx",
    "{{'Authorization': 'Basic {}xxxxxxxx'}}",
]


def told(capsys: pytest.CaptureFixture[str], text: str, *, json_logs: bool = False) -> str:
    terminal = Terminal(json_logs=json_logs)
    for tell in (terminal.log, terminal.warn, terminal.error):
        tell(text)
    return capsys.readouterr().err


# Without a scheme a blank ends a password: "12:30 of ana@example.com" holds none.
WRITTEN = [(a, s) for a in ADDRESSES for s in SECRETS if "//" in a or " " not in s]


@pytest.mark.parametrize(("address", "secret"), WRITTEN)
def test_a_password_in_an_address_is_never_told(
    capsys: pytest.CaptureFixture[str], address: str, secret: str
) -> None:
    for written in (secret, quote(secret, safe="")):
        for text in (
            address,
            f"warehouse {address!r}: refused",
            f"{address}: no answer, try again",
        ):
            said = told(capsys, text.format(written))
            assert written not in said.replace("ana:***@", "")
            assert "***@" in said


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("secret", ["s3cret", "p%40ss", "a.b-c_d~e", "se,cret", "se)cret"])
def test_a_named_secret_is_never_told(
    capsys: pytest.CaptureFixture[str], pair: str, secret: str
) -> None:
    for json_logs in (False, True):
        said = told(capsys, pair.format(secret), json_logs=json_logs)
        assert secret not in said
        assert "***" in said


def test_what_libpq_quotes_is_one_value(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, r"host=db password='it\'s two words' user=ana")
    assert "password=*** user=ana" in said
    assert "words" not in said


@pytest.mark.parametrize(
    "text",
    [
        "line 12:30 of ana@example.com, opened at 10:15",
        "no user 'ana@example.com' has an event before 2026-03-01",
        "http://127.0.0.1:5000/#/experiments/1",
        "duckdb:///data/shop@home.duckdb: no permission to read or write it",
        "features.token_count: 'tokens / visits' has no finite value",
        "column 'password' is not there; did you mean 'passwords'",
        "postgresql://ana@db/shop cannot be reached",
        "http://db:5000 did not answer: ask ana@example.com",
        "http://[::1]:5000 did not answer: ask ana@example.com",
        "a basic scorecard ranks by points",
        "features.signature: 'passes / visits' has no finite value",
        "signature: unknown operation 'pass'",
        "the design=2, key=user_id, passes=3",
    ],
)
def test_what_holds_no_secret_is_told_as_it_is(text: str) -> None:
    assert scrub(text) == text
