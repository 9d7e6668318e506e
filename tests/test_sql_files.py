"""The parser and the rendering of SQL files."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.queries.library import read_library
from cardlink_sql.queries.query import MAX_LIST, Query, Rows, title_in
from cardlink_sql.queries.resources import warn_skipped
from cardlink_sql.review.statements.variants import query_text
from tests.parsing import parse

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL


def one(text: str, dialect: Dialect = SQLITE) -> Query:
    """The only query of a text."""
    (query,) = parse(text, "sql/common/things.sql", dialect)
    return query


def body(statement: str, rows: str = "many") -> str:
    """A query around a statement."""
    return f"-- name: find :{rows}\n-- Finds.\n{statement}\n"


FILTERED = """\
-- name: find_by :many
-- Finds.
SELECT id
FROM things
WHERE 1 = 1
  AND a = :a          -- when: a
  AND b IS NULL       -- when: b_is_null
  AND c < :c OR d < :d -- when: c, d
ORDER BY
  name, id,           -- order: name
  name DESC, id DESC, -- order: name desc
  id
LIMIT :limit;
"""


class TestHeader:
    def test_gives_name_rows_and_documentation(self) -> None:
        query = one("-- name: get :one\n-- A thing.\n-- By id.\nSELECT 1;")
        assert (query.title, query.rows, query.source.doc) == (
            "things.get",
            Rows.ONE,
            "A thing.\nBy id.",
        )
        assert query.where == "sql/common/things.sql:1"

    def test_directives_are_no_documentation(self) -> None:
        text = "-- allow-scan: it is small: look\n-- list: a\nSELECT 1 WHERE b IN (:a);"
        query = one(body(text))
        assert (query.source.doc, query.source.lists) == ("Finds.", {"a"})
        assert query.source.allow_scan == "it is small: look"
        assert one(body("SELECT 1;")).source.allow_scan is None

    def test_a_file_may_begin_with_comments_and_have_crlf(self) -> None:
        assert one("-- About.\n/* more */\n\n" + body("SELECT 1;")).title == "things.find"
        query = one("-- name: find :many\r\n-- Finds.\r\nSELECT :a\r\nFROM t;")
        assert query.as_written().names == ("a",)

    def test_a_header_inside_a_string_is_text(self) -> None:
        query = one(body("SELECT '\n-- name: other :one\n';"))
        assert "-- name: other :one" in query.as_written().sql


BAD_FILES = [
    ("\ufeff" + body("SELECT 1;"), "byte order mark", 1),
    ("SELECT 1;\n" + body("SELECT 1;"), "before the first header", 1),
    ("-- nmae: find :many\n-- Finds.\nSELECT 1;", "malformed query header", 1),
    ("-- name find :many\n-- Finds.\nSELECT 1;", "malformed query header", 1),
    ("-- name: find\n-- Finds.\nSELECT 1;", "does not say what the query returns", 1),
    ("-- name: find :lots\n-- Finds.\nSELECT 1;", "does not say what the query returns", 1),
    ("-- name: Find :many\n-- Finds.\nSELECT 1;", "not a query name", 1),
    ("-- name: class :many\n-- Finds.\nSELECT 1;", "not a query name", 1),
    ("-- name: a-b :many\n-- Finds.\nSELECT 1;", "not a query name", 1),
    (body("SELECT 1;") + body("SELECT 2;"), "a second query is named 'find'", 4),
    (body(""), "has no statement", 1),
    (body("-- only this"), "has no statement", 1),
    (body(";"), "has no statement", 1),
    (body("SELECT 1"), "does not end in ;", 3),
    (body("SELECT 1; SELECT 2;"), "has a second statement", 3),
    ("-- name: find :many\nSELECT 1;", "has no documentation", 1),
    (body("-- lits: ids\nSELECT 1;"), "is not a directive", 3),
    (body("-- allow-scan:\nSELECT 1;"), "the directive is empty", 3),
    (body("-- allow_scan: it is small\nSELECT 1;"), "is not a directive", 3),
    (body("-- allow-scan: one\n-- allow-scan: two\nSELECT 1;"), "has this directive twice", 4),
    (body("-- list: ids\nSELECT 1;"), "which is not a parameter", 1),
    (body("-- list: a\nSELECT 1 WHERE x NOT IN (:a);"), "outside of IN", 4),
    (body("-- list: a\nSELECT 1 WHERE x = :a;"), "outside of IN", 4),
    (body("SELECT 1\nWHERE a = :b -- when: a\n;"), "needs :b", 4),
    (body("SELECT 1\nWHERE a = :a -- when: A b!\n;"), "cannot follow when", 4),
    (body("SELECT 1 ORDER BY\n a, -- order: a up\n id;"), "cannot follow order", 4),
    (body("SELECT 1 ORDER BY\n :a, -- order: a\n id;"), "takes no parameter", 4),
    (body("SELECT '\n' AS x, :a -- when: a\n;"), "starts inside a string", 4),
    (body("SELECT ?;"), "placeholder of the driver", 3),
    (body("SELECT @a;"), "placeholder of the driver", 3),
    (body("INSERT INTO t (a) VALUES (:a, 1);", "batch"), "a :batch query is INSERT", 1),
    (body("INSERT INTO t (a) SELECT :a;", "batch"), "a :batch query is INSERT", 1),
    (body("COPY t (a) FROM STDIN;", "copy"), ":copy is PostgreSQL's", 1),
    (body("SELECT 'abc;"), "is not closed", 3),
    (body("-- only: x\nSELECT 1;"), "for all dialects, so only: has no place here", 1),
    (body("-- needs: a\nSELECT 1;"), "for all dialects, so needs: has no place here", 1),
    (body("SELECT 1 LIMIT:n;"), ":n is not a parameter", 3),
    (body("SELECT :öl;"), ":öl is not a parameter", 3),
    (body("SELECT :1;"), ":1 is not a parameter", 3),
    (body("/*+ NO_INDEX(t) */ SELECT 1;"), "an optimizer hint before the statement", 3),
]


@pytest.mark.parametrize(("text", "what", "line"), BAD_FILES)
def test_a_malformed_file_is_refused_where_it_is_wrong(text: str, what: str, line: int) -> None:
    with pytest.raises(QueryError, match=what) as caught:
        parse(text, "sql/common/things.sql", SQLITE)
    assert f"{caught.value.where}:".startswith(f"sql/common/things.sql:{line}:")


@pytest.mark.parametrize(("dialect", "sign"), [(MYSQL, "?"), (POSTGRESQL, "$1")])
def test_a_native_placeholder_is_refused(dialect: Dialect, sign: str) -> None:
    with pytest.raises(QueryError, match="placeholder of the driver"):
        parse(body(f"SELECT {sign};"), "sql/common/things.sql", dialect)


class TestRendering:
    def test_each_driver_gets_its_own_style(self) -> None:
        text = body("SELECT :a, 'x%' LIKE :b, :a;")
        statement = one(text, SQLITE).as_written()
        assert statement.sql == "SELECT /* cardlink:things.find */ ?, 'x%' LIKE ?, ?"
        assert statement.pick({"a": 1, "b": 2}) == (1, 2, 1)
        for dialect in (MYSQL, POSTGRESQL):
            assert one(text, dialect).as_written().sql == (
                "SELECT /* cardlink:things.find */ %s, 'x%%' LIKE %s, %s"
            )

    def test_strings_casts_and_operators_stay(self) -> None:
        text = "'a  -- b\n    :c  /* d */'"
        assert text in one(body(f"SELECT {text}, :e;")).as_written().sql
        sql = one(body("SELECT :a::jsonb ->> 'x:y', j ? 'k';"), POSTGRESQL).as_written().sql
        assert sql.endswith("%s::jsonb ->> 'x:y', j ? 'k'")

    def test_line_comments_go_and_a_hint_stays_before_the_name(self) -> None:
        sql = one(body("SELECT\n /*+ fast */ 1 -- why\nFROM t;")).as_written().sql
        assert sql == "SELECT\n/*+ fast */ /* cardlink:things.find */ 1\nFROM t"
        assert title_in(sql) == "things.find"
        assert query_text(one(body("SELECT /*+ x */ 1;"))).startswith(
            "SELECT /*+ x */ /* cardlink:things.find */ 1"
        )


class TestOptionalLines:
    def test_are_in_where_their_parameters_are_given(self) -> None:
        query = one(FILTERED)
        statement = query.statement({"limit": 1, "a": 2, "b_is_null": True})
        assert "a = ?" in statement.sql
        assert "b IS NULL" in statement.sql
        assert statement.pick({"limit": 1, "a": 2, "b_is_null": True}) == (2, 1)
        both = query.statement({"limit": 1, "c": 2, "d": 3}).sql
        assert ("a = ?" in both, "c < ?" in both) == (False, True)
        assert "c < ?" not in query.statement({"limit": 1, "c": 2}).sql

    def test_of_orderings_the_one_asked_for_is_in(self) -> None:
        query = one(FILTERED)
        assert query.orders == ("name", "name desc")
        assert query.statement({"limit": 1}).sql.endswith("ORDER BY\nid\nLIMIT ?")
        assert "name DESC, id DESC,\nid" in query.statement({"limit": 1}, "name desc").sql
        with pytest.raises(QueryError, match="there is no ordering 'size'"):
            query.statement({"limit": 1}, "size")

    def test_wrong_parameters_are_an_error_with_the_right_ones(self) -> None:
        for parameters in [{}, {"limit": 1, "x": 2}, {"LIMIT": 1}]:
            with pytest.raises(QueryError, match=r"it takes: limit, \[a\], \[b_is_null\]"):
                one(FILTERED).statement(parameters)

    @given(st.sets(st.sampled_from(["a", "b_is_null", "c", "d"])), st.sampled_from([None, "name"]))
    def test_placeholders_and_values_always_match(
        self, chosen: set[str], order: str | None
    ) -> None:
        parameters = dict.fromkeys(chosen | {"limit"}, 7)
        statement = one(FILTERED).statement(parameters, order)
        assert statement.sql.count("?") == len(statement.pick(parameters))


class TestLists:
    QUERY = body("-- list: ids\nSELECT 1 WHERE id IN (:ids) AND x = :x;")

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 1000, MAX_LIST])
    def test_have_a_placeholder_for_each_value(self, size: int) -> None:
        parameters = {"ids": list(range(size)), "x": 0}
        statement = one(self.QUERY).statement(parameters)
        values = statement.pick(parameters)
        assert statement.sql.count("?") == len(values)
        assert set(values[:-1]) == set(range(size))

    def test_that_are_empty_match_nothing_and_are_never_guessed(self) -> None:
        parameters: dict[str, object] = {"ids": [], "x": 0}
        statement = one(self.QUERY).statement(parameters)
        assert "IN (NULL)" in statement.sql
        assert statement.pick(parameters) == (0,)
        assert one(body("SELECT :a;")).as_written().pick({"a": [1, 2]}) == ([1, 2],)

    @pytest.mark.parametrize("value", ["abc", b"abc", 5, None, list(range(MAX_LIST + 1))])
    def test_that_are_none_or_too_long_are_an_error(self, value: object) -> None:
        with pytest.raises(QueryError, match="ids"):
            one(self.QUERY).statement({"ids": value, "x": 0})


class TestLibrary:
    def write(self, folder: Path, **files: str) -> Path:
        for part in ("common", *Dialect):
            (folder / part).mkdir()
        for name, text in files.items():
            part, _, stem = name.partition("__")
            (folder / part / f"{stem}.sql").write_text(text, encoding="utf-8")
        return folder

    def test_a_dialects_form_wins_and_says_why(self, tmp_path: Path) -> None:
        special = body("-- differs: it must\nSELECT 2;")
        folder = self.write(tmp_path, common__things=body("SELECT 1;"), mysql__things=special)
        assert read_library(folder, SQLITE).query("things", "find").where.startswith("sql/common")
        assert read_library(folder, MYSQL).query("things", "find").where.startswith("sql/mysql")
        (folder / "mysql" / "things.sql").write_text(body("SELECT 2;"))
        with pytest.raises(QueryError, match="does not say why"):
            read_library(folder, MYSQL)

    def test_a_query_of_one_dialect_says_why_the_others_have_none(self, tmp_path: Path) -> None:
        alone = "-- name: copy :copy\n-- C.\n-- only: COPY is its own\nCOPY t FROM STDIN;"
        folder = self.write(tmp_path, common__things=body("SELECT 1;"), postgresql__things=alone)
        query = read_library(folder, POSTGRESQL).query("things", "copy")
        assert (query.source.only, query.source.differs) == ("COPY is its own", None)

    def test_a_query_says_what_some_databases_lack(self, tmp_path: Path) -> None:
        texts = {
            name: f"-- name: find :many\n-- F.\n-- only: x\n-- needs: {name}\nSELECT 1;"
            for name in ("pg_stat_statements", "a.b", "a.b_1.c")
        }
        for name, text in texts.items():
            (query,) = parse(text, "sql/postgresql/t.sql", POSTGRESQL, needs_reason=True)
            assert query.source.needs == name
        assert one(body("SELECT 1;")).source.needs is None

    @pytest.mark.parametrize("name", ["A", "a.b.c.d", "a b", "a; DROP TABLE t", "a..b", "1a"])
    def test_what_a_query_needs_is_a_name(self, name: str) -> None:
        text = f"-- name: find :many\n-- F.\n-- only: x\n-- needs: {name}\nSELECT 1;"
        with pytest.raises(QueryError, match="cannot follow needs:") as caught:
            parse(text, "sql/mysql/t.sql", MYSQL, needs_reason=True)
        assert caught.value.where == "sql/mysql/t.sql:1:1"

    @pytest.mark.parametrize(
        "special",
        [
            "-- name: find :one\n-- Finds.\n-- differs: x\nSELECT :a;",
            body("-- differs: x\nSELECT :b;"),
            body("-- differs: x\nSELECT :a\n  , :c -- when: c\n;"),
            body("-- differs: x\nSELECT :a ORDER BY\n b, -- order: b\n a;"),
        ],
    )
    def test_both_forms_must_agree(self, tmp_path: Path, special: str) -> None:
        folder = self.write(tmp_path, common__things=body("SELECT :a;"), mysql__things=special)
        with pytest.raises(QueryError, match=r"but .* in sql/common/things.sql:1"):
            read_library(folder, MYSQL)

    def test_bytes_that_are_not_utf8_are_named(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path)
        (folder / "common" / "things.sql").write_bytes(b"-- name: find :many\n-- \xff\nSELECT 1;")
        with pytest.raises(QueryError, match=r"sql/common/things.sql:2: the file is not UTF-8"):
            read_library(folder, SQLITE)

    def test_files_of_editors_are_passed_over_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = self.write(tmp_path, common__things=body("SELECT 1;"))
        (folder / "common" / ".#things.sql").symlink_to("nobody@nowhere")
        (folder / "common" / "._things.sql").write_bytes(b"\xff")
        (folder / "common" / "things.sql~").write_text("SELECT")
        (folder / "mysql" / "things.sql").mkdir()
        warn_skipped.cache_clear()
        for dialect in Dialect:
            assert read_library(folder, dialect).query("things", "find").where
        skipped = [record.getMessage().split(" is not")[0] for record in caplog.records]
        assert skipped == [
            "sql/common/.#things.sql",
            "sql/common/._things.sql",
            "sql/common/things.sql~",
            "sql/mysql/things.sql",
        ]

    def test_unknown_names_are_an_error_with_the_known_ones(self, tmp_path: Path) -> None:
        library = read_library(self.write(tmp_path, common__things=body("SELECT 1;")), SQLITE)
        with pytest.raises(QueryError, match=r"no query 'fnid' .it has: find"):
            library.query("things", "fnid")
        with pytest.raises(QueryError, match=r"no file thigns.sql .* .there are: things"):
            library.query("thigns", "find")
