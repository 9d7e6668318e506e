"""The guides: their samples run; every command has a help text with an example."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from cardlink_sql.cli import main
from cardlink_sql.dialect import Dialect
from cardlink_sql.model import declared_settings
from tests.parsing import parse

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "scripts"))
from _command_line import commands, rendered  # noqa: E402

FOLDER = ROOT / "cardlink_sql" / "guides"
# What the samples of the others show does not depend on the backend.
ON_EACH_BACKEND = {"backup", "dba", "events", "live", "operations"}
GUIDES = sorted(file.stem for file in FOLDER.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_links_of_the_guides_lead_to_files() -> None:
    texts = [(FOLDER / f"{guide}.md").read_text("utf-8") for guide in GUIDES]
    addresses = re.findall(r"\]\((?!https?:|#)([^)#]+)", "\n".join(texts))
    assert addresses
    assert [address for address in addresses if not (FOLDER / address).exists()] == []


def test_every_command_says_what_it_does_with_an_example() -> None:
    help_texts = re.findall(r"^```text\n(.*?)^```", rendered(), re.DOTALL | re.MULTILINE)
    for path, shown in zip(commands(), help_texts, strict=True):
        example = re.sub(r"\s+", " ", shown).partition("Example: ")[2]
        assert " ".join(("cardlink-db", *path)) in example, path


def test_a_guide_with_a_command_that_writes_a_file_says_when_it_replaces_one() -> None:
    writes = re.compile(r"^\$ cardlink-db .*(backup \S|(export|junit) .*--output)", re.MULTILINE)
    pages = [FOLDER / f"{guide}.md" for guide in GUIDES] + [FOLDER.parents[1] / "README.md"]
    texts = {page.name: page.read_text("utf-8") for page in pages}
    showing = {name for name, text in texts.items() if writes.search(text)}
    assert {"README.md", "backup.md"} < showing
    assert not {name for name in showing if "only with `--force`" not in texts[name]}


def run_command(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a ``cardlink-db`` line as a shell would; return what it printed."""
    words = shlex.split(line)
    target = None
    if ">" in words:
        at = words.index(">")
        words, target = words[:at], Path(words[at + 1])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(words[1:])
    printed = capsys.readouterr()
    assert not ended.value.code, f"{line}\n{printed.out}{printed.err}"
    if target is not None:
        target.write_text(printed.out, "utf-8")
        return ""
    return printed.out


def run_console(
    block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the lines of a console block and hold what they print to what is written there.

    A line of output that holds ``…`` may have anything in its place.
    """
    for sample in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, expected = sample.replace("\\\n", " ").partition("\n")
        line = line.partition("  # ")[0].strip()
        exported = re.fullmatch(r"export (\w+)=(?:\$\((.*)\)|(.*))", line)
        if exported:
            command, value = exported[2], exported[3]
            value = run_command(command, capsys).strip() if command else os.path.expandvars(value)
            monkeypatch.setenv(exported[1], value)
            continue
        assert line.startswith("cardlink-db "), f"nothing runs this line of a sample: {line}"
        printed = run_command(line, capsys)
        for written in filter(None, map(str.strip, expected.splitlines())):
            pattern = re.escape(re.sub(r"\s+", " ", written)).replace("…", ".*")
            assert re.search(pattern, re.sub(r"[^\S\n]+", " ", printed)), f"{written}\n{printed}"


@pytest.mark.parametrize(
    ("guide", "dialect"),
    [
        (guide, dialect)
        for guide in GUIDES
        for dialect in Dialect
        if dialect is Dialect.SQLITE or guide in ON_EACH_BACKEND
    ],
    indirect=["dialect"],
)
def test_the_samples_of_a_guide_run(
    guide: str,
    empty_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "guide").mkdir()
    monkeypatch.chdir(tmp_path / "guide")
    monkeypatch.setenv("DATABASE_URL", empty_url)
    monkeypatch.setenv("CARDLINK_ENCRYPTION_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(declared_settings, "_registry", declared_settings._registry)
    names: dict[str, Any] = {"__name__": guide}
    for language, block in BLOCK.findall((FOLDER / f"{guide}.md").read_text("utf-8")):
        if language == "python":
            exec(compile(block, guide, "exec"), names)
        elif language == "console":
            run_console(block, capsys, monkeypatch)
        elif language == "sql":
            parse(block, f"{guide}.sql", Dialect.SQLITE)
