"""The queries that follow only from the tables are in the files as the script writes them."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_scripts_generate_sql_changes_nothing() -> None:
    files = runpy.run_path(str(ROOT / "scripts" / "_generate_sql.py"))["files"]()
    assert len(files) == 7
    assert [file.name for file, text in files.items() if file.read_text("utf-8") != text] == []
