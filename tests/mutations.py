"""Faults to plant in the SQL files and the migrations, each with the check that must see it.

``python -m pytest tests/test_mutations.py --mutations`` plants all of them,
without the flag a sample.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries.resources import folder as resource_folder

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL


@dataclass(frozen=True)
class Mutation:
    """An edit of one file of ``sql/``, and the check that sees it.

    ``old`` is replaced at its first place after ``-- name: query``; the fault stands in the line
    of ``new`` (with ``at_header``, in that of the header), by each of the dialects in ``only``.
    ``also`` are other checks that see it.
    """

    file: str
    query: str
    old: str
    new: str
    check: str
    said: str
    only: tuple[Dialect, ...] = tuple(Dialect)
    at_header: bool = False
    also: tuple[str, ...] = ()


def mutated(target: Path, mutation: Mutation) -> tuple[Path, int]:
    """A copy of the gateway's files with the edit; the line that holds it."""
    source = Path(str(resource_folder("sql")))
    for part in ("common", *Dialect):
        (target / part).mkdir(parents=True)
        for original in (source / part).glob(Path(mutation.file).name):
            shutil.copy(original, target / part)
    file = target / mutation.file
    text = file.read_text("utf-8")
    header = re.search(rf"^-- name: {mutation.query} ", text, re.MULTILINE)
    at = text.index(mutation.old, header.start())
    edited = text[:at] + mutation.new + text[at + len(mutation.old) :]
    file.write_text(edited, "utf-8")
    shown = header.start() if mutation.at_header else at + len(mutation.new.partition("\n")[0])
    return target, edited.count("\n", 0, shown) + 1


MATCHING = """FROM ota_sessions
WHERE 1 = 1
  AND status = :status                         -- when: status
  AND device_id = :device_id                   -- when: device_id
  AND card_iccid = :card_iccid                 -- when: card_iccid
  AND created_at >= :since                     -- when: since"""

STATIC = {
    "a column misspelled in one dialect": Mutation(
        "postgresql/sessions.sql", "end_session", "- started_at)", "- startd_at)",
        "prepare", 'column "startd_at" does not exist', (POSTGRESQL,),
    ),
    "a column misspelled for all": Mutation(
        "common/devices.sql", "find_by_type", "device_type = :", "devicetype = :",
        "prepare", "devicetype",
    ),
    "an optional line misspelled": Mutation(
        "common/sessions.sql", "find_by", "AND device_id IS NULL", "AND devce_id IS NULL",
        "prepare", "devce_id",
    ),
    "an order misspelled": Mutation(
        "common/cards.sql", "find_by", "card_type DESC, iccid", "cardtype DESC, iccid",
        "prepare", "cardtype",
    ),
    "a table misspelled": Mutation(
        "common/logs.sql", "exists", "FROM comm_logs", "FROM comm_log", "prepare", "comm_log",
    ),
    "an index misspelled": Mutation(
        "sqlite/sessions.sql", "find_open", "INDEXED BY ix_ota_sessions_status_created_at_id",
        "INDEXED BY ix_ota_sessions_status", "prepare", "no such index", (SQLITE,),
    ),
    "a keyword misspelled": Mutation(
        "common/devices.sql", "exists", "WHERE id", "WERE id", "prepare", "",
    ),
    "two result columns swapped": Mutation(
        "common/cards.sql", "get_by_id", "  iccid,\n  imsi,", "  imsi,\n  iccid,",
        "columns", "column 1 is imsi, and the record has iccid",
    ),
    "a result column left out": Mutation(
        "common/cards.sql", "get_by_id", ",\n  updated_at\n", "\n",
        "columns", "the column updated_at of the record is missing", at_header=True,
    ),
    "a result column too many": Mutation(
        "common/cards.sql", "get_psk_key", "psk_key_encrypted\n", "psk_key_encrypted, notes\n",
        "columns", "the column notes is not a field of the record",
    ),
    "a value of another type": Mutation(
        "common/cards.sql", "get_by_id", "psk_key_encrypted IS NOT NULL AS has_psk",
        "psk_identity AS has_psk", "types", "the record's field takes bool", also=("nullability",),
    ),
    "a time as text": Mutation(
        "common/cards.sql", "get_by_id", "  created_at,\n", "  card_type AS created_at,\n",
        "types", "the record's field takes datetime", (MYSQL, POSTGRESQL), also=("alias",),
    ),
    "a parameter of another type": Mutation(
        "common/cards.sql", "find_by", "AND updated_at = :updated_at", "AND atr = :updated_at",
        "types", "and the gateway binds the time of card_profiles.updated_at", (POSTGRESQL,),
    ),
    "NULL where the record has none": Mutation(
        "common/cards.sql", "get_all_psk_identities",
        "SELECT psk_identity\nFROM card_profiles\nWHERE psk_identity IS NOT NULL",
        "SELECT psk_identity\nFROM card_profiles\nWHERE 1 = 1",
        "nullability", "the column psk_identity may be NULL",
    ),
    "an aggregate over nothing": Mutation(
        "common/sessions.sql", "get_statistics", "COUNT(*) AS total_sessions",
        "MAX(1) AS total_sessions", "nullability", "the column total_sessions may be NULL",
        (MYSQL,),
    ),
    "two columns of an INSERT swapped": Mutation(
        "common/cards.sql", "create", "  :iccid,\n  :imsi,", "  :imsi,\n  :iccid,",
        "pairs", "the parameter :imsi is written to the column iccid",
    ),
    "two columns of an UPDATE swapped": Mutation(
        "common/cards.sql", "update", "imsi = :imsi,\n  card_type = :card_type",
        "imsi = :card_type,\n  card_type = :imsi", "pairs",
        "the parameter :card_type is written to",
    ),
    "two columns of COPY swapped": Mutation(
        "postgresql/logs.sql", "copy_log_batch", "  session_id,\n  timestamp,",
        "  timestamp,\n  session_id,", "copy", "its columns are not the parameters of logs.add_lo",
        (POSTGRESQL,), at_header=True,
    ),
    "two columns under each other's name": Mutation(
        "common/devices.sql", "get_by_id", "  manufacturer,\n  model,",
        "  model AS manufacturer,\n  manufacturer AS model,",
        "alias", "the column model is selected as manufacturer, which is another column",
    ),
    "a :one with two rows": Mutation(
        "common/devices.sql", "get_by_id", "WHERE id = :id", "WHERE name = :id",
        "rows", "can return two rows, and :one is one row", at_header=True,
    ),
    "a reason that nothing needs": Mutation(
        "common/devices.sql", "get_by_id", "SELECT\n", "-- allow-rows: no\nSELECT\n",
        "allow-rows", "states a reason that nothing here needs", at_header=True,
    ),
    "a star": Mutation(
        "common/cards.sql", "get_psk_key", "SELECT psk_key_encrypted", "SELECT *",
        "star", "* returns other columns after each migration", also=("columns",),
    ),
    "a name that SQLite reads as a string": Mutation(
        "sqlite/sessions.sql", "find_open", "WHERE status IN", 'WHERE "staus" IN',
        "quotes", 'SQLite reads "staus" as a string', (SQLITE,),
    ),
    "a name that MySQL reads as a string": Mutation(
        "mysql/settings.sql", "create", "`key`", '"key"',
        "quotes", 'MySQL reads "key" as a string', (MYSQL,), also=("prepare",),
    ),
    "a query's name misspelled in one dialect": Mutation(
        "mysql/sessions.sql", "end_session", "-- name: end_session", "-- name: end_sesion",
        "dialects", "there is no form of it for sqlite and postgresql", (MYSQL,), at_header=True,
    ),
    "a parameter renamed in one dialect": Mutation(
        "mysql/settings.sql", "set_value", "updated_at = :updated_at;", "updated_at = :at;",
        "dialects", "requires at, category", (MYSQL,), at_header=True,
    ),
    "a condition renamed in one dialect": Mutation(
        "postgresql/settings.sql", "set_value", "when: new_category", "when: other_category",
        "dialects", "may be given new_description, other_category", (POSTGRESQL,), at_header=True,
    ),
    "two values from a :scalar": Mutation(
        "common/cards.sql", "count_by", "SELECT COUNT(*)", "SELECT COUNT(*), MAX(iccid)",
        "columns", ":scalar is one value", at_header=True,
    ),
    "ESCAPE left out in one dialect": Mutation(
        "postgresql/cards.sql", "search",
        " ESCAPE '!' -- when: pattern\n    OR LOWER(imsi", " -- when: pattern\n    OR LOWER(imsi",
        "like", "LIKE without ESCAPE takes % and _", (POSTGRESQL,),
    ),
    "an end that is in the range": Mutation(
        "common/sessions.sql", "find_by_date_range", "created_at < :end", "created_at <= :end",
        "bounds", ":end is compared by <=, and by < in all queries",
    ),
    "a start that is not in the range": Mutation(
        "common/devices.sql", "find_recent", "last_seen >= :since", "last_seen > :since",
        "bounds", ":since is compared by >, and by >= in all queries",
    ),
    "an order without the key": Mutation(
        "common/sessions.sql", "find_by_date_range", "created_at DESC, id DESC", "created_at DESC",
        "order", "its rows may come in another order each time",
    ),
    "a :one declared :many": Mutation(
        "common/cards.sql", "get_psk_key", ":one", ":many",
        "rows", "returns one row at most, and is :many", also=("dialects",),
    ),
    "a :many declared :one": Mutation(
        "common/cards.sql", "find_with_psk", ":many", ":one", "rows", "can return two rows",
        also=("dialects",),
    ),
    "an :exec declared :many": Mutation(
        "common/cards.sql", "clear_psk", ":exec", ":many",
        "columns", "the column iccid of the record is missing", also=("dialects", "rows"),
    ),
    "a change of more rows than are listed": Mutation(
        "sqlite/sessions.sql", "close_stale", "\n  AND updated_at < :before;", ";",
        "change", "lacks a condition of sessions.find_stale: updated_at < :before", (SQLITE,),
        at_header=True,
    ),
    "a value pasted in one dialect": Mutation(
        "mysql/sessions.sql", "end_session", "WHERE id = :id", "WHERE id = 'S1'",
        "dialects", "requires ended_at, status, updated_at, but ended_at, id", (MYSQL,),
        at_header=True,
    ),
    "a filter left out in one dialect": Mutation(
        "postgresql/devices.sql", "search",
        "  AND is_active = :is_active                   -- when: is_active\n", "\n",
        "parse", "search: may be given device_type, pattern, but", (POSTGRESQL,),
    ),
    "LIMIT left out in one dialect": Mutation(
        "mysql/tests.sql", "purge_old", "ORDER BY created_at\nLIMIT :limit", "ORDER BY created_at",
        "parse", "purge_old: requires before, but before, limit in", (MYSQL,),
    ),
    "a header left out": Mutation(
        "common/cards.sql", "find_with_psk", "-- name: find_with_psk :many\n", "",
        "parse", "",
    ),
    "a list that is one value": Mutation(
        "common/cards.sql", "get_many", "-- list: keys\n", "",
        "list", ":keys is one value, and IN takes a list", at_header=True,
    ),
    "an UPDATE of a table that is not there": Mutation(
        "sqlite/sessions.sql", "end_session", "UPDATE ota_sessions", "UPDATE ota_session",
        "prepare", "no such table", (SQLITE,),
    ),
}  # fmt: skip

PLANS = {
    "a condition that no index serves": Mutation(
        "common/tests.sql", "find_by_run", "FROM test_results\nWHERE run_id = :run_id",
        "FROM test_results\nWHERE COALESCE(run_id, '') = :run_id",
        "plan", "reads the whole of test_results (without optional lines",
    ),
    "a LIMIT taken away": Mutation(
        "common/logs.sql", "page_after",
        "FROM comm_logs\nWHERE 1 = 1\n  AND id > :id                                 -- when: id\n"
        "ORDER BY id\nLIMIT :limit;",
        "FROM comm_logs\nWHERE 1 = 1\n  AND id > :id                                 -- when: id\n"
        "ORDER BY id;",
        "plan", "reads the whole of comm_logs (without optional lines): ",
    ),
    "a filter on the way to a LIMIT": Mutation(
        "common/logs.sql", "page_after", "FROM comm_logs\nWHERE 1 = 1",
        "FROM comm_logs\nWHERE direction = 'command'",
        "plan", "reads the whole of comm_logs (without optional lines): ",
    ),
    "a group over all": Mutation(
        "common/tests.sql", "find_known", "FROM test_results\nWHERE id IN (:keys)",
        "FROM test_results\nWHERE id IN (:keys) OR status IN (\n"
        "  SELECT r.status FROM test_results r GROUP BY r.status)",
        "plan", "reads the whole of test_results: ",
    ),
    "an order that no index has": Mutation(
        "common/sessions.sql", "find_matching", f"{MATCHING}\nORDER BY created_at DESC",
        f"{MATCHING.replace('1 = 1', 'status = :status')}\nORDER BY updated_at DESC",
        "plan", "sorts a large part of ota_sessions (without optional lines",
    ),
    "a function around an indexed column, where a reason is": Mutation(
        "common/tests.sql", "find_by_filters", "AND run_id = :run_id   ",
        "AND LOWER(run_id) = :run_id   ", "plan", "",
    ),
    "a function around an indexed column of a small table": Mutation(
        "common/cards.sql", "get_psk_key_by_identity", "WHERE psk_identity",
        "WHERE LOWER(psk_identity)", "plan", "the plan (with every line in) is",
    ),
    "a hint left out": Mutation(
        "sqlite/sessions.sql", "find_open", " INDEXED BY ix_ota_sessions_status_created_at_id", "",
        "plan", "the plan (", (SQLITE,),
    ),
    "a status asked for that an index serves": Mutation(
        "common/sessions.sql", "find_old", "status NOT IN ('pending', 'active')",
        "status IN ('completed', 'failed', 'timeout')", "plan", "", (SQLITE,),
    ),
}  # fmt: skip

ANSWERS = {
    "an order turned round in one dialect": Mutation(
        "sqlite/sessions.sql", "find_open", "created_at DESC, id DESC", "created_at DESC, id",
        "answers", "returns the rows in another order than SQLite",
    ),
    "an order turned round": Mutation(
        "common/logs.sql", "find_matching", "  id DESC,   ", "  id,   ",
        "answers", "is not the reverse of the order without a name",
    ),
    "NULL without a place": Mutation(
        "common/tests.sql", "find_by_run", "ORDER BY started_at IS NOT NULL, started_at",
        "ORDER BY started_at", "answers", "returns the rows in another order than SQLite",
    ),
    "a page that leaves out ties": Mutation(
        "common/sessions.sql", "page_after", "OR id < :id)", "OR id > :id)",
        "answers", "pages of 2 rows return",
    ),
    "a page that begins after its first row": Mutation(
        "common/sessions.sql", "page_after", "created_at <= :created_at ",
        "created_at < :created_at ",
        "answers", "pages of 2 rows return",
    ),
    "a count without a filter": Mutation(
        "common/sessions.sql", "count_old",
        "WHERE status NOT IN ('pending', 'active')\n  AND created_at", "WHERE created_at",
        "answers", "and sessions.find_old returns",
    ),
    "a filter that only the list has": Mutation(
        "common/sessions.sql", "count_by",
        "  AND status = :status                         -- when: status\n", "",
        "answers", "lacks lines that sessions.find_by has: status",
    ),
    "a list without its count's filter": Mutation(
        "common/cards.sql", "page_psk_tokens", "psk_key_encrypted IS NOT NULL", "1 = 1",
        "answers", "is 4, and cards.page_psk_tokens returns 6 rows",
    ),
    "a condition left out of a list": Mutation(
        "common/sessions.sql", "find_old", "  AND COALESCE(ended_at, updated_at) < :before\n", "",
        "answers", "and sessions.find_old returns",
    ),
    "another column filtered": Mutation(
        "common/sessions.sql", "find_matching", "card_iccid = :card_iccid",
        "device_id = :card_iccid",
        "answers", "it does not return the 5 rows whose card_iccid is",
    ),
    "DISTINCT left out": Mutation(
        "common/settings.sql", "get_categories", "DISTINCT category", "category",
        "answers", "returns a row twice",
    ),
    "a join of every session": Mutation(
        "sqlite/statistics.sql", "find_slowest", "ON r.session_id = s.id",
        "ON r.session_id >= s.id",
        "answers", "and SQLite",
    ),
    "a row too many in a subquery": Mutation(
        "sqlite/statistics.sql", "count_exchanges", "c.id < l.id", "c.id <= l.id",
        "answers", "SQLite",
    ),
    "another aggregate": Mutation(
        "sqlite/statistics.sql", "count_exchanges", "COALESCE(MAX(e.", "COALESCE(MIN(e.",
        "answers", "where SQLite returns",
    ),
    "two figures swapped": Mutation(
        "postgresql/statistics.sql", "get_session_days", "status = 'failed'", "status = 'timeout'",
        "answers", "where SQLite returns",
    ),
    "days in another order": Mutation(
        "postgresql/statistics.sql", "get_session_days", "ORDER BY day", "ORDER BY day DESC",
        "answers", "returns the rows in another order than SQLite",
    ),
    "letters in one case": Mutation(
        "postgresql/devices.sql", "search", "LOWER(name COLLATE \"default\")", "LOWER(name)",
        "answers", "rows, and SQLite",
    ),
    "a filter turned round in one dialect": Mutation(
        "postgresql/cards.sql", "search", "psk_key_encrypted IS NOT NULL            --",
        "psk_key_encrypted IS NULL                --", "answers", "SQLite",
    ),
    "a pattern that must be at the start": Mutation(
        "postgresql/devices.sql", "search", "LOWER(CAST(:pattern AS TEXT)",
        "LOWER(SUBSTR(CAST(:pattern AS TEXT), 2)", "answers", "rows, and SQLite",
    ),
}  # fmt: skip
