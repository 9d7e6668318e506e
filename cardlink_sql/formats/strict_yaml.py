"""Strict YAML: JSON values with the line of each key; nothing that two readers take differently.

PyYAML reads YAML 1.1, where ``yes`` is a boolean, ``0123`` is 83 and ``12:30`` is 750. The author
of a file decides its meaning: see :class:`Author`.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Final

import yaml

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.text import MAX_TEXT_BYTES

# A row's JSON document may have 31 levels; it is in a row, in a list, in the file.
_MAX_DEPTH: Final = 40
_TAG: Final = "tag:yaml.org,2002:"
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})", re.ASCII)
_NUMBER: Final = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII
)
# A number in JSON and YAML 1.2, but text in YAML 1.1: 1e5.
_EXPONENT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+", re.ASCII)
# Text that begins like a number or a time, or is y or n: some reader of YAML 1.1 or 1.2 would take
# it for something else. PyYAML's own rules, which quote other words, are those of 1.1.
_NOT_PLAIN: Final = re.compile(r"[-+.0-9]|[yYnN]\Z", re.ASCII)
_TRUTH: Final = {"true": True, "false": False}
_BOOLEANS: Final = {**_TRUTH, "yes": True, "on": True, "no": False, "off": False}
_NULL: Final = ("", "~", "null")
_FORBIDDEN: Final = yaml.reader.Reader.NON_PRINTABLE
_NO_TYPE: Final = "a tag that JSON has no type for"
_NOT_DECIMAL: Final = "write the number in decimal digits, or in quotes if it is text"
_REFUSALS: Final = {
    "timestamp": "a date is not a JSON value: write it in quotes",
    "int": _NOT_DECIMAL,
    "float": _NOT_DECIMAL,
    "merge": "write << in quotes",
}
# libyaml's where PyYAML came with it, ten times as quick.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Author(Enum):
    """The writer of a file, who decides what its plain words mean."""

    # A person means a boolean by ``yes``; dates and numbers that are not decimal are refused.
    PERSON = auto()
    # An export: what YAML 1.1 and 1.2 read differently is text, and the last line is ``...``, so
    # that a file that was cut off is noticed.
    PROGRAM = auto()
    # A file of keys: every scalar is text, ``00112233`` too, and a problem names only its line.
    KEY_OWNER = auto()


class Fields(dict[str, Any]):
    """A mapping of the file, with the line of each key, and the keys whose value has a problem."""

    def __init__(self, values: dict[str, Any], lines: dict[str, int], faulty: set[str]) -> None:
        super().__init__(values)
        self.lines: Final = lines
        self.faulty: Final = faulty


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes YAML that :func:`read_yaml` reads back unchanged, whoever its author is."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        style = "'" if _NOT_PLAIN.match(data) else None
        # Other quotes would not escape U+0085 and the like, which read back as line ends.
        node: yaml.ScalarNode = self.represent_scalar(
            f"{_TAG}str", data, style if data.isprintable() else '"'
        )
        return node


class _Resolver(yaml.resolver.Resolver):
    """Finds the type of a plain word."""


Dumper.add_representer(str, Dumper.represent_text)
_Resolver.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+0123456789"))


def write_yaml(value: Any) -> str:
    """Return a value as YAML in block style, its keys in their order."""
    text: str = yaml.dump(
        value, Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False,
        width=100,
    )  # fmt: skip
    return text


def read_yaml(text: str, problems: Problems, author: Author) -> Any:
    """Return the value of a YAML document; ``None`` if it has only comments.

    It is at most a MiB unless a program wrote it. The problems are values that JSON cannot hold,
    keys that are not text or appear twice, and aliases: a few lines of them could expand to
    gigabytes. Text that is not YAML raises ``ValidationError``.
    """
    name = problems.name
    if author is not Author.PROGRAM and len(text) > MAX_TEXT_BYTES:
        raise ValidationError(f"the text is longer than {MAX_TEXT_BYTES} characters", name)
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ValidationError(
            "not valid YAML: a control character",
            f"{name}:{line}",
            "remove it, or pass a text file",
        )
    try:
        return _YamlReader(problems, author).document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        # Python's messages about these quote the file, which may have a key in the wrong place.
        problem = error.problem or "it cannot be read"
        if re.search("anchor|tag|alias", problem):
            problem = "an anchor or a tag that it does not know"
        # libyaml puts the end of the text in the line after it.
        line = min(error.problem_mark.line, text.count("\n")) + 1 if error.problem_mark else 1
        remedy = "correct the line, and quote text that YAML would take for something else"
        raise ValidationError(f"not valid YAML: {problem}", f"{name}:{line}", remedy) from None


class _YamlReader:
    """Makes values of the parser's events, so that a large file is in memory only once."""

    def __init__(self, problems: Problems, author: Author) -> None:
        self._problems = problems
        self._author = author
        self._resolve = _Resolver().resolve

    def document(self, events: Iterator[Any]) -> Any:
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._fault("a second document begins", event)
                value = self._value(next(events), events, "", _MAX_DEPTH)
            elif isinstance(event, yaml.DocumentEndEvent) and not (
                event.explicit or self._author is not Author.PROGRAM
            ):
                raise self._fault(
                    "the file does not end in a line of three dots, so it may be cut off",
                    event,
                    "write ... as its last line, if it is whole",
                )
        return value

    def _value(self, event: Any, events: Iterator[Any], path: str, levels: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._refuse("aliases are not supported: write the value itself", event, path)
        if isinstance(event, yaml.ScalarEvent):
            try:
                return self._scalar(event)
            except ValueError as error:
                return self._refuse(str(error), event, path)
        if not levels:
            raise self._fault("the YAML is nested too deeply", event)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", f"{_TAG}{'map' if is_mapping else 'seq'}"):
            self._skip(event, events)
            return self._refuse(_NO_TYPE, event, path)
        read = self._mapping if is_mapping else self._list
        return read(events, path, levels - 1)

    def _list(self, events: Iterator[Any], path: str, levels: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, f"{path}[{len(items)}]", levels))
        return items

    def _mapping(self, events: Iterator[Any], path: str, levels: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        faulty: set[str] = set()
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, events, path, lines)
            if key is None:
                self._skip(next(events), events)
                continue
            known = self._problems.count
            lines[key] = _line_of(event)
            below = f"{path}.{key}" if path else key
            values[key] = self._value(next(events), events, below, levels)
            if self._problems.count > known:
                faulty.add(key)
        has_lines = not path or self._author is Author.KEY_OWNER
        return Fields(values, lines, faulty) if has_lines else values

    def _key(
        self, event: Any, events: Iterator[Any], path: str, lines: dict[str, int]
    ) -> str | None:
        """Return a key of a mapping; ``None`` if it is not text or appears twice."""
        try:
            key = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        except ValueError:
            key = None
        if not isinstance(key, str):
            self._refuse("a key is not text: write it in quotes", event, path)
            self._skip(event, events)
            return None
        if key in lines:
            # The key is not shown: it may be a secret in the wrong place.
            self._refuse(f"a key appears twice, first in line {lines[key]}", event, path)
            return None
        return key

    def _skip(self, event: Any, events: Iterator[Any]) -> None:
        """Take the events of a value that is not read."""
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if not depth:
                return
            event = next(events)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text: str = event.value
        if self._author is Author.KEY_OWNER and event.tag is None:
            return text
        tag = event.tag or self._resolve(  # type: ignore[no-untyped-call]
            yaml.ScalarNode, text, event.implicit
        )
        kind = tag.removeprefix(_TAG)
        if self._author is Author.PERSON or event.tag is not None:
            return _typed(text, kind, _BOOLEANS)
        try:
            return text if _EXPONENT.fullmatch(text) else _typed(text, kind, _TRUTH)
        except ValueError:
            return text

    def _refuse(self, what: str, event: Any, path: str) -> None:
        is_shown = self._author is not Author.KEY_OWNER
        self._problems.add(what, path if is_shown else None, _line_of(event))

    def _fault(self, what: str, event: Any, remedy: str | None = None) -> ValidationError:
        return ValidationError(what, f"{self._problems.name}:{_line_of(event)}", remedy)


def _line_of(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _typed(text: str, kind: str, booleans: dict[str, bool]) -> Any:
    """Return the value of a plain word.

    Raises:
        ValueError: JSON has no such value; the text says what to write.
    """
    if kind in ("str", "value", "!"):  # a single = has its own type
        return text
    if kind == "null" and text.lower() in _NULL:
        return None
    if kind == "bool" and text.lower() in booleans:
        return booleans[text.lower()]
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "float" and _NUMBER.fullmatch(text):
        return float(text)
    raise ValueError(_REFUSALS.get(kind, _NO_TYPE))
