"""The README: its samples run, its help texts are the real ones, its SQL sample parses."""

import re
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from cardlink_sql.cli import app
from cardlink_sql.dialect import Dialect
from cardlink_sql.sqlfiles.parser import parse

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
COMMANDS = ["", "init", "migrate", "status", "replay", "keys generate"]


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def help_of(command: str) -> str:
    """What ``cardlink-db COMMAND --help`` prints on a terminal of 80 columns."""
    result = CliRunner().invoke(
        app,
        [*command.split(), "--help"],
        prog_name="cardlink-db",
        env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"},
    )
    assert result.exit_code == 0
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_texts_are_the_real_ones(command: str) -> None:
    assert help_of(command) in README


def test_every_command_is_documented() -> None:
    listed = re.findall(r"^  (\w+)  ", help_of("").partition("Commands:")[2], re.MULTILINE)
    assert listed
    assert set(listed) <= {command.partition(" ")[0] for command in COMMANDS}


def test_the_samples_run(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_url)
    monkeypatch.setenv("CARDLINK_ENCRYPTION_KEY", Fernet.generate_key().decode())
    exec("\n".join(blocks("python")), {})
    printed = capsys.readouterr().out
    assert "6A83 Record not found" in printed
    assert printed.endswith("1.0\n")


@pytest.mark.parametrize("dialect", Dialect)
def test_the_sample_of_a_query_parses(dialect: Dialect) -> None:
    (query,) = parse(blocks("sql")[0], "sql/common/sample.sql", dialect)
    assert query.conditions == {"device_id"}
    assert query.orders == ("started_at",)
