"""What messages say of addresses."""

from __future__ import annotations

import pytest

from lgc.errors import first_line, last_line, one_line, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/a.lgc?X-Amz-Signature=PASSWORD%3D", "https://h/a.lgc"),
        ("https://user:PASSWORD@h:9/a@2x.lgc?x=y@PASSWORD", "https://h:9/a@2x.lgc"),
        ("https://PASSWORD@h/", "https://h/"),
        ("postgresql+psycopg2://user:PASSWORD/?#PASSWORD@h/db", "postgresql+psycopg2://h/db"),
        ("s3://user:PASSWORD@b/k.lgc?versionId=PASSWORD", "s3://b/k.lgc"),
        ("https:/user:PASSWORD@h/x.lgc?s=PASSWORD", "https:/h/x.lgc"),  # as a path
        ("https://h/a.lgc?s=PASSWORD: cannot be fetched (no?)", "https://h/a.lgc: cannot be fetched (no?)"),
        ("no 'http://u:PASSWORD@h?x=PASSWORD'; http://u:PASSWORD@h.", "no 'http://h'; http://h."),
    ],
)
def test_users_and_queries_of_addresses_are_left_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "a/b?c.lgc: no such file",
        "http://127.0.0.1:5000/a@2x.lgc",
        "http://[::1]:5000/a@2x.lgc",
        "s3://b/deep/k@2.lgc",
        "sqlite:////home/a@b/mlflow.db",
        "models:/faces@champion: no MLflow store mlflow.db",
        "http://[x/a",
    ],
)
def test_all_else_stays(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    ("said", "shown"),
    [(("one\ntwo",), "one"), (("\n one",), "one"), ((), "RuntimeError"), ((" \n",), "RuntimeError")],
)
def test_an_error_is_one_line_though_it_says_more_or_nothing(said: tuple[str, ...], shown: str) -> None:
    assert first_line(RuntimeError(*said)) == shown


def test_an_error_on_one_line_of_a_limited_length() -> None:
    assert one_line("one\n  two\tthree") == "one two three"
    assert one_line(RuntimeError(" one\ntwo"), 5) == "one t"
    assert one_line(RuntimeError("\n"), 5) == "RuntimeError"


@pytest.mark.parametrize(
    ("said", "shown"), [("one\ntwo\n\n", "two"), ("10 %\r20 %\r", "20 %"), (" \n", "no message"), ("", "no message")]
)
def test_what_a_command_said_last(said: str, shown: str) -> None:
    assert last_line(said) == shown
