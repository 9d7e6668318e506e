"""The forms of a query: one for each dialect that has it."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.queries import Library, Query, load_library


def forms_of(libraries: Iterable[Library]) -> dict[str, list[Query]]:
    """Return the forms of each query, by title."""
    forms = defaultdict(list)
    for library in libraries:
        for query in library.all():
            forms[query.title].append(query)
    return forms


def without(library: Library, titles: Collection[str | None]) -> Library:
    """Return a library without the queries of these titles."""
    kept = defaultdict[str, dict[str, Query]](dict)
    for query in library.all():
        if query.title not in titles:
            kept[query.source.gateway][query.source.name] = query
    return Library(library.dialect, kept)


def by_place(forms: Iterable[Query]) -> list[list[Query]]:
    """Return the forms by their place: dialects that share a text are together."""
    same = defaultdict(list)
    for form in forms:
        same[form.where].append(form)
    return list(same.values())


def find_query(title: str) -> list[Query]:
    """Return the forms of a query, one for each dialect that has it.

    Raises:
        ValidationError: no dialect has it; the error lists similar names.
    """
    forms = forms_of(map(load_library, Dialect))
    if title not in forms:
        raise ValidationError(f"there is no query {title!r}; {near(title, sorted(forms))}")
    return forms[title]


def near(name: str, names: list[str]) -> str:
    """Return a sentence with the names near to a misspelled one."""
    found = get_close_matches(name, names, n=3, cutoff=0.5)
    if found:
        return f"near: {', '.join(found)}"
    return f"there are: {', '.join(names)}" if len(names) < 20 else "cardlink-db sql list shows all"
