"""YAML written by programs, parsed strictly from its events.

Tags and aliases are refused, and a file of any size is read once. A plain word is a number, a
boolean or null only if both YAML 1.1 and 1.2 agree; times and ``yes`` are text. ``yaml_text``
reads the YAML that people write: it knows the line of every value and accepts at most a MiB.
"""

import re
import reprlib
from collections.abc import Iterator
from typing import Any, Final

import yaml

from cardlink_sql.errors import ValidationError

# A row's JSON document may have 31 levels; it is in a row, in a list, in the file.
_MAX_DEPTH: Final = 40
# A subset on which YAML 1.1 and 1.2 agree, so plain values mean the same here as elsewhere.
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})")
_FLOAT: Final = re.compile(r"[-+]?[0-9]{1,40}\.[0-9]*(?:[eE][-+][0-9]{1,3})?")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Events = Iterator[Any]


def load_yaml(text: str, where: str) -> Any:
    """Return the value of a YAML text of one document that ends in ``...``.

    Raises:
        ValidationError: it is not YAML, or holds an anchor, an alias, a tag or a key twice, is
            nested too deeply, or does not end.
    """
    reader = _DocumentReader(where)
    try:
        return reader.document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        raise ValidationError(f"no YAML: {error.problem or error.context}{line}", where) from None
    except yaml.YAMLError:
        raise ValidationError("no YAML: a character that it does not allow", where) from None


class _DocumentReader:
    def __init__(self, where: str) -> None:
        self._where = where

    def document(self, events: _Events) -> Any:
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._fault("a second document begins", event)
                value = self._value(next(events), events, _MAX_DEPTH)
            elif isinstance(event, yaml.DocumentEndEvent) and not event.explicit:
                raise self._fault(
                    "the file does not end in a line of three dots, so it may be cut off",
                    event,
                    "write ... as its last line, if it is whole",
                )
        return value

    def _value(self, event: Any, events: _Events, levels: int) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._fault("anchors and aliases are not supported", event, "write the value out")
        if event.tag is not None:
            raise self._fault("tags are not supported", event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if not levels:
            raise self._fault("the YAML is nested too deeply", event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, levels - 1)
        return self._object(events, levels - 1)

    def _list(self, events: _Events, levels: int) -> list[Any]:
        items = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event, events, levels))
        return items

    def _object(self, events: _Events, levels: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            name = self._value(event, events, 0) if _is_plain(event) else None
            if not isinstance(name, str):
                raise self._fault("a key is not text", event, "put it in quotes")
            if name in fields:
                raise self._fault(
                    f"the field {reprlib.repr(name)} appears twice in an object", event
                )
            fields[name] = self._value(next(events), events, levels)
        return fields

    def _fault(self, what: str, event: Any, remedy: str | None = None) -> ValidationError:
        return ValidationError(f"line {event.start_mark.line + 1}: {what}", self._where, remedy)


def _is_plain(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style:  # quoted, or a block
        return text
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
