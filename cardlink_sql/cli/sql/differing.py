"""``cardlink-db sql diff``: the effects of a change of the SQL."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Final

import typer

from cardlink_sql.cli.shared.exits import Exit
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, argument
from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import load_library
from cardlink_sql.review.difference import (
    ChangedMigration,
    ChangedPlan,
    ChangedQuery,
    ChangedRight,
    Difference,
    difference,
)
from cardlink_sql.review.lock import REMEDY, check_lock, read_lock
from cardlink_sql.review.release import find_release

_WHAT: Final = {
    "edited": "Edited: a database that has applied it refuses to migrate further",
    "gone": "Gone: a database that has applied it refuses to migrate further",
}
# In Markdown, a section of more lines is folded.
_SHORT: Final = 20


@dataclass(frozen=True)
class _Item:
    """Something that changed: its name, what is said of it, and lines of SQL or of plans."""

    name: str
    said: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def diff(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE", help="A git revision, a release's wheel, its checkout or sql/ folder."
        ),
    ],
    *,
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown", help="As Markdown, for a pull request: without the plans themselves."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the effects of a change on another release.

    Those on queries, plans, rights and migrations, and the statements of sql/internal/.

    Both are read from sql/lock/, so write that first: scripts/lock. The exit code is 1 if that of
    this release lacks changes. No database is needed.

    Example: cardlink-db sql diff main --markdown
    """
    with argument("BASE"):
        release = find_release(base)
        found = difference(release)
    is_stale = False
    for dialect in Dialect:
        if faults := check_lock(load_library(dialect), read_lock(dialect)):
            is_stale = True
            said = f"sql/lock/{dialect} lacks changes, {len(faults)} in number; {REMEDY}"
            typer.echo(said, err=True)
    if as_json:
        print_json(asdict(found))
    else:
        _print(release.name, found, is_stale=is_stale, markdown=markdown)
    if is_stale:
        raise typer.Exit(Exit.ERROR)


def _print(name: str, found: Difference, *, is_stale: bool, markdown: bool) -> None:
    shown = {title: items for title, items in _sections(found, short=markdown) if items}
    counts = ", ".join(f"{title.lower()}: {len(items)}" for title, items in shown.items())
    same = "sql/lock/ is the same, but lacks changes" if is_stale else "the SQL is the same"
    head = f"Against {name}: {counts or same}"
    typer.echo("\n".join((_markdown if markdown else _plain)(head, shown)))


def _sections(found: Difference, *, short: bool) -> Iterator[tuple[str, list[_Item]]]:
    yield "New queries", list(map(_query, found.new))
    yield "Queries gone", list(map(_query, found.gone))
    yield "Changed queries", list(map(_query, found.changed))
    yield "Changed plans", list(_in_short(found.plans) if short else map(_plan, found.plans))
    yield "Changed rights", list(map(_right, found.rights))
    yield "Migrations", list(map(_migration, found.migrations))
    yield "Internal statements", list(map(_query, found.internal))


def _query(one: ChangedQuery) -> _Item:
    is_everywhere = len(one.dialects) == len(Dialect)
    return _Item(
        one.query + ("" if is_everywhere else f" ({', '.join(one.dialects)})"), one.effects
    )


def _plan(one: ChangedPlan) -> _Item:
    before, now = (lines or () for lines in (one.before, one.now))
    lines = (*(f"- {line}" for line in before), *(f"+ {line}" for line in now))
    return _Item(f"{one.query} ({one.dialect}; {one.variant})", (), lines)


def _in_short(plans: list[ChangedPlan]) -> Iterator[_Item]:
    """Yield the queries whose plans changed; the text form has the plans."""
    changed: dict[str, list[Dialect]] = {}
    for one in plans:
        changed.setdefault(one.query, []).append(one.dialect)
    for query, of in changed.items():
        yield _Item(
            f"{query} ({', '.join(f'{name}: {of.count(name)}' for name in sorted(set(of)))})"
        )


def _right(one: ChangedRight) -> _Item:
    is_needed = "needs" if one.is_needed else "no longer needs"
    more = len(one.queries) - 1
    by = f"for {one.queries[0]}" + (f" and {more} more" if more else "") if one.queries else ""
    return _Item(f"{one.role} {is_needed} {one.right} on {one.on} ({one.dialect}) {by}".rstrip())


def _migration(one: ChangedMigration) -> _Item:
    said = (_WHAT[one.what] if one.note is None else one.note,)
    lines = [
        line
        for sql, locked in one.statements
        for line in (f"-- locks: {locked}", f"{sql.strip().rstrip(';')};")
    ]
    return _Item(f"{one.id} ({one.dialect})", said, tuple(lines))


def _plain(head: str, sections: dict[str, list[_Item]]) -> Iterator[str]:
    yield f"{head}."
    for title, items in sections.items():
        yield f"\n{title}"
        for item in items:
            yield f"  {item.name}"
            yield from _indented("    ", (*item.said, *item.lines))


def _markdown(head: str, sections: dict[str, list[_Item]]) -> Iterator[str]:
    yield f"### {head}"
    for title, items in sections.items():
        lines = [line for item in items for line in _bullets(item)]
        is_open = " open" if len(lines) <= _SHORT else ""
        yield f"\n<details{is_open}><summary>{title}: {len(items)}</summary>\n"
        yield from lines
        yield "\n</details>"


def _bullets(item: _Item) -> Iterator[str]:
    yield f"- `{item.name}`"
    yield from (f"  - {_escaped(said)}" for said in item.said)
    if item.lines:
        yield from _indented("  ", ("", "```sql", *item.lines, "```"))


def _indented(by: str, texts: Sequence[str]) -> Iterator[str]:
    yield from (f"{by}{line}".rstrip() for text in texts for line in text.splitlines() or [""])


def _escaped(said: str) -> str:
    return said.replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")
