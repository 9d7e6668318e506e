"""The forms of a query: one for each dialect that has it."""

from collections import defaultdict
from collections.abc import Iterable

from cardlink_sql.queries import Library, Query


def forms_of(libraries: Iterable[Library]) -> dict[str, list[Query]]:
    """Return the forms of each query, by title."""
    forms = defaultdict(list)
    for library in libraries:
        for query in library.all():
            forms[query.title].append(query)
    return forms


def by_text(forms: Iterable[Query]) -> list[list[Query]]:
    """Return the forms by their place: dialects that share a text are together."""
    same = defaultdict(list)
    for form in forms:
        same[form.where].append(form)
    return list(same.values())
