"""The style of the SQL: what sqlfluff is shown, and that it sees a slip."""

import sys
from pathlib import Path

import pytest

from cardlink_sql.dialect import Dialect

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "scripts"))
from _sql_style import faults, rendered  # noqa: E402

QUERY = """\
-- name: find_by :many
-- The sessions of a device.
SELECT
  id,
  status
FROM ota_sessions
WHERE 1 = 1
  AND device_id = :device_id                   -- when: device_id
ORDER BY
  status,                                      -- order: status
  id
LIMIT :limit OFFSET :offset;
"""

# (what is right, what is written in its place, the rule that says so)
SLIPS = [
    ("SELECT\n", "select\n", "CP01"),
    ("1 = 1", "1=1", "LT01"),
    ("  id,\n", "    id,\n", "LT02"),
    ("  id,\n  status\n", "  id\n  , status\n", "LT04"),
    ("  AND device_id = :device_id  ", "  AND device_id = :device_id AND", "PRS"),
    ("ota_sessions\n", "ota_sessions AS s\n", "AL01"),
    ("status\nFROM", "COUNT(*) AS Total\nFROM", "CP02"),
    ("  status\n", "  count(*) AS total\n", "CP03"),
    ("1 = 1", "1 != 1", "CV01"),
    (":limit OFFSET", ":limit OFSET", "PRS"),
]


def linted(folder: Path, text: str, dialect: str = "common") -> list[str]:
    """The faults of a file of ``sql/``."""
    file = folder / "sql" / dialect / "sessions.sql"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return faults(file)


@pytest.mark.parametrize("dialect", ["common", *Dialect])
def test_a_query_of_optional_lines_has_no_fault(dialect: str, tmp_path: Path) -> None:
    assert linted(tmp_path, QUERY, dialect) == []


@pytest.mark.parametrize(("right", "wrong", "rule"), SLIPS)
def test_a_slip_is_seen_where_it_is(right: str, wrong: str, rule: str, tmp_path: Path) -> None:
    assert QUERY.count(right) == 1
    found = linted(tmp_path, QUERY.replace(right, wrong))
    lines = range(*(QUERY[: QUERY.index(right) + cut].count("\n") + 1 for cut in (0, len(wrong))))
    assert any(f": {rule} " in fault for fault in found), found
    assert any(int(fault.split(":")[1]) in (*lines, lines.stop) for fault in found), found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "SELECT ':a', :a, b -- :c\nLIMIT :limit;",
            "SELECT ':a', 10, b -- :c\nLIMIT 100000;",
        ),
        ("UPDATE t INDEXED BY ix SET", "UPDATE t /*DEXED BY */ SET"),
        ("BEGIN EXCLUSIVE;", "BEGIN /*CLUSI*/;"),
        ('PRAGMA busy_timeout = "{ms}";', 'PRAGMA busy_timeout /*"{ms*/;'),
    ],
)
def test_what_sqlfluff_does_not_know_is_replaced_in_its_length(text: str, shown: str) -> None:
    assert rendered(text, Dialect.SQLITE) == shown
