"""The lexer: paired tables of what is and what is not a parameter, and its two laws."""

import pytest
from hypothesis import given, strategies as st

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.queries.lexer import Kind, tokenize

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL
ALL = tuple(Dialect)


def parameters(text: str, dialect: Dialect) -> list[str]:
    """The parameters that the lexer finds."""
    return [t.text[1:] for t in tokenize(text, dialect) if t.kind is Kind.PARAMETER]


FOUND = [
    (ALL, "-- don't use\nSELECT :a", ["a"]),
    (ALL, "SELECT :a -- it's :b\n, :c", ["a", "c"]),
    (ALL, "/* :a 'b */ :c", ["c"]),
    (ALL, "/*+ hint :h */ :a", ["a"]),
    (ALL, "/*!50000 :v */ :a", ["a"]),
    (ALL, "'it''s :a' || :b", ["b"]),
    (ALL, "'10:30' :a", ["a"]),
    (ALL, "5 % :n", ["n"]),
    (ALL, ":user = :user_id AND :user", ["user", "user_id", "user"]),
    (ALL, "data->>'a:b' = :c", ["c"]),
    (ALL, "(:a,:b)", ["a", "b"]),
    (ALL, "a=:a", ["a"]),
    (ALL, "':a\n-- :b\n' :c", ["c"]),
    (ALL, "'{\"a\":true}' :b", ["b"]),
    (ALL, "@v := :y", ["y"]),
    ((SQLITE, POSTGRESQL), "'C:\\' :a", ["a"]),
    ((SQLITE, POSTGRESQL), '"a:b" :c', ["c"]),
    ((SQLITE, POSTGRESQL), '"a "":b" :c', ["c"]),
    ((SQLITE, POSTGRESQL), "5--:a\n:b", ["b"]),
    ((SQLITE, MYSQL), "`a:b` :c", ["c"]),
    ((SQLITE, MYSQL), "/* /* :a */ :b", ["b"]),
    ((SQLITE,), "[a:b] :c", ["c"]),
    ((MYSQL,), "'it\\'s :a', :b", ["b"]),
    ((MYSQL,), '"it\\"s :a", :b', ["b"]),
    ((MYSQL,), '"a"":b" :c', ["c"]),
    ((MYSQL,), "# don't :a\n:b", ["b"]),
    ((MYSQL,), "5--:a", ["a"]),
    ((POSTGRESQL,), ":a::jsonb, :b::int", ["a", "b"]),
    ((POSTGRESQL,), "'10:30'::time, :a", ["a"]),
    ((POSTGRESQL,), "/* /* :a */ :b */ :c", ["c"]),
    ((POSTGRESQL,), "$$ :a ' $$ :b", ["b"]),
    ((POSTGRESQL,), "$x$ :a $$ :b $x$ :c", ["c"]),
    ((POSTGRESQL,), "E'it\\'s :a' :b", ["b"]),
    ((POSTGRESQL,), "E'a' \n 'b\\' :c' :d", ["d"]),
    ((POSTGRESQL,), "arr[1:2] arr[a:b] arr[:n]", ["n"]),
    ((POSTGRESQL,), "j ? 'k' AND :a", ["a"]),
    ((POSTGRESQL,), "typE'x' :a", ["a"]),
]

REFUSED = [
    (ALL, "SELECT 'abc", "string"),
    (ALL, "SELECT 1 /* abc", "comment"),
    ((SQLITE, POSTGRESQL), 'SELECT "abc', "quoted name"),
    ((SQLITE, MYSQL), "SELECT `abc", "quoted name"),
    ((MYSQL,), "SELECT 'C:\\'", "string"),
    ((MYSQL,), 'SELECT "abc', "string"),
    ((SQLITE,), "SELECT [abc", "quoted name"),
    ((POSTGRESQL,), "SELECT $a$ $b$", "dollar quote"),
    ((POSTGRESQL,), "/* /* */", "comment"),
]


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [(dialect, text, names) for dialects, text, names in FOUND for dialect in dialects],
)
def test_finds_the_parameters_and_no_others(
    dialect: Dialect, text: str, expected: list[str]
) -> None:
    assert parameters(text, dialect) == expected


@pytest.mark.parametrize(
    ("dialect", "text", "what"),
    [(dialect, text, what) for dialects, text, what in REFUSED for dialect in dialects],
)
def test_refuses_what_is_not_closed(dialect: Dialect, text: str, what: str) -> None:
    with pytest.raises(QueryError, match=f"the {what} that starts with .* is not closed"):
        tokenize(text, dialect, "sql/x.sql")


def test_an_error_names_file_line_and_column() -> None:
    with pytest.raises(QueryError) as caught:
        tokenize("SELECT 1;\n  -- fine\n  SELECT 'abc", SQLITE, "sql/common/x.sql")
    assert caught.value.where == "sql/common/x.sql:3:10"


pieces = st.sampled_from(
    ["'", '"', "`", "[", "]", "--", "#", "/*", "*/", "$$", "$a$", "\\", ":a", "::", ":=", ";",
     "%", "?", "\n", "\r\n", " ", "E'", "x", "1", "é", "(", ")", "it's"]
)  # fmt: skip
texts = st.one_of(st.lists(pieces, max_size=30).map("".join), st.text(max_size=60))


@given(texts, st.sampled_from(ALL))
def test_the_tokens_joined_are_the_text_and_know_their_positions(
    text: str, dialect: Dialect
) -> None:
    try:
        tokens = tokenize(text, dialect)
    except QueryError:
        return
    before = ""
    for token in tokens:
        lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert (token.line, token.column) == (len(lines), len(lines[-1]) + 1)
        before += token.text
    assert before == text


quotable = st.text(
    st.characters(exclude_characters="'\\$\0", exclude_categories=["Cs"]), max_size=30
)


@given(quotable, st.sampled_from(ALL))
def test_no_parameter_starts_inside_a_string_or_a_comment(content: str, dialect: Dialect) -> None:
    comment = content.replace("*", "").replace("/", "")
    for inside in (f"'{content} :inside'", f"/*{comment} :inside*/"):
        assert parameters(f"SELECT {inside}, :outside", dialect) == ["outside"]
    assert parameters(f"SELECT $q${content} :inside$q$ :outside", POSTGRESQL) == ["outside"]
