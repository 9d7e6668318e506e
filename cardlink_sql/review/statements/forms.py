"""The forms of a query: one for each dialect that has it."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from cardlink_sql.queries import Library, Query


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


def by_text(forms: Iterable[Query]) -> list[list[Query]]:
    """Return the forms by their place: dialects that share a text are together."""
    same = defaultdict(list)
    for form in forms:
        same[form.where].append(form)
    return list(same.values())
