"""The README: its samples run, its table of commands is complete, its sample of SQL parses."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from cardlink_sql.dialect import Dialect
from tests.conftest import Run
from tests.parsing import parse

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "scripts"))
from _command_line import commands  # noqa: E402

README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_command_is_in_the_table() -> None:
    section = README.partition("## The command line\n")[2].partition("\n## ")[0]
    table = "".join(line for line in section.splitlines() if line.startswith("| "))
    named = re.findall(r"`([a-z-]+)`", re.sub(r"\(.*?\)", "", table))
    assert sorted(named) == sorted(path[0] for path in commands() if len(path) == 1)


def test_the_samples_run(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_url)
    monkeypatch.setenv("CARDLINK_ENCRYPTION_KEY", Fernet.generate_key().decode())
    for _ in range(2):
        exec("\n".join(blocks("python")), {})
        printed = capsys.readouterr().out
    assert "6A83 Record not found" in printed
    assert printed.endswith("select by AID\ninstall applet\n")


def test_the_first_commands_run_on_the_quickstart(run: Run, tmp_path: Path) -> None:
    (block,) = (text for text in blocks("console") if "sessions show" in text)
    database = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'quickstart.db'}",
        "CARDLINK_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    lines = [shlex.split(line, comments=True)[2:] for line in block.splitlines()]
    for words in (["init"], ["replay", str(ROOT / "scripts/quickstart-trace.jsonl")], *lines):
        done = run(*words, **database)
        assert done.returncode == 0, f"{words}\n{done.stderr}"


@pytest.mark.parametrize("dialect", Dialect)
def test_the_sample_of_a_query_parses(dialect: Dialect) -> None:
    (query,) = parse(blocks("sql")[0], "sql/common/sample.sql", dialect)
    assert query.conditions == {"device_id"}
    assert query.orders == ("started_at",)


def test_the_places_to_change_are_there() -> None:
    section = README.partition("## Where to change what\n")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w*/.]+(?:\.\w+|/))`", section)
    files = [
        file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*") if ".venv" not in file.parts
    ]
    for name in named:
        place = re.compile(rf"(.*/)?{re.escape(name).replace(re.escape('*'), '[^/]+')}".rstrip("/"))
        assert any(map(place.fullmatch, files)), name
