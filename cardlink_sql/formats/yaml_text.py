"""YAML written by people, parsed into JSON values with the line of each.

PyYAML reads YAML 1.1, where ``yes``, ``no``, ``on`` and ``off`` are booleans. Ambiguous
values are refused: dates, ``0123`` (83 in YAML 1.1), ``12:30`` (750), aliases,
tags beyond JSON's types, and a key that appears twice.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.text import decode, read_bytes

_LONGEST: Final = 1_048_576
_TAG: Final = "tag:yaml.org,2002:"
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})", re.ASCII)
_NUMBER: Final = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII
)
# A number in JSON and YAML 1.2, but text in YAML 1.1: 1e5.
_EXPONENT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+", re.ASCII)
_BOOLEANS: Final = {
    "true": True, "yes": True, "on": True, "false": False, "no": False, "off": False
}  # fmt: skip
_NULL: Final = ("", "~", "null")


class _Loader(yaml.SafeLoader):
    """Refuses aliases: a few lines of them could expand to gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="aliases are not supported: write the value itself",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)


class _TextLoader(_Loader):
    """Keeps every scalar as text, including ``00112233`` and ``1e5``."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


class Dumper(yaml.SafeDumper):
    """Writes YAML that :func:`compose` reads back unchanged."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        # Other quotes would not escape U+0085 and the like, which read back as line ends.
        return self.represent_scalar(f"{_TAG}str", data, None if data.isprintable() else '"')


Dumper.add_representer(str, Dumper.represent_text)
for _resolver in (_Loader, Dumper):
    _resolver.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+0123456789"))


def read_file(path: Path) -> str:
    """Return the text of a YAML file.

    Raises:
        ValidationError: it cannot be read, is not UTF-8, or is longer than a MiB.
    """
    return decode(read_bytes(path, at_most=_LONGEST), str(path))


def compose(text: str, name: str, *, only_text: bool = False) -> yaml.Node | None:
    """Return the root of a YAML document; ``None`` if it has only comments.

    Args:
        text: the document, at most a MiB.
        name: the file's name in errors, which show nothing of its content.
        only_text: keep every scalar as text.

    Raises:
        ValidationError: it is not YAML, or holds an alias or a second document.
    """
    if len(text) > _LONGEST:
        raise ValidationError(f"the text is longer than {_LONGEST} characters", name)
    try:
        loader = (_TextLoader if only_text else _Loader)(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ValidationError("no YAML: a control character", f"{name}:{line}") from None
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(error, name) from None
    except RecursionError:
        raise ValidationError("the YAML is nested too deeply", name) from None


def _no_yaml(error: yaml.MarkedYAMLError, name: str) -> ValidationError:
    problem = error.problem or "it cannot be read"
    # These messages quote the file, which may have a key in the wrong place.
    if re.search("anchor|tag|alias '", problem):
        problem = "an anchor or a tag that it does not know"
    where = f"{name}:{error.problem_mark.line + 1}" if error.problem_mark else name
    return ValidationError(f"no YAML: {problem}", where)


def line_of(node: yaml.Node) -> int:
    """Return the line in which a node begins, from 1."""
    return int(node.start_mark.line) + 1


def pairs(
    node: yaml.MappingNode, problems: Problems, path: str = ""
) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield the keys of a mapping, each with its node and its value's.

    A key that is not text or appears twice is recorded as a problem and skipped; a duplicate is
    reported only by line, because the key may be a misplaced secret.
    """
    first: dict[str, int] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != f"{_TAG}str":
            problems.add("a key is not text: write it in quotes", path, line_of(key_node))
        elif key_node.value in first:
            problems.add(
                f"a key appears twice, first in line {first[key_node.value]}",
                path,
                line_of(key_node),
            )
        else:
            first[key_node.value] = line_of(key_node)
            yield key_node.value, key_node, value_node


def value_of(node: yaml.Node, problems: Problems, path: str) -> Any:
    """Return the JSON value of a node. One that JSON cannot hold is recorded as a problem."""
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
        return {
            key: value_of(value, problems, f"{path}.{key}")
            for key, _, value in pairs(node, problems, path)
        }
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
        return [
            value_of(item, problems, f"{path}[{position}]")
            for position, item in enumerate(node.value)
        ]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, problems, path)
    return _refuse(node, problems, path)


def _scalar(node: yaml.ScalarNode, problems: Problems, path: str) -> Any:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    if kind in ("str", "value"):  # a single = has its own type
        return text
    if kind == "null" and text.lower() in _NULL:
        return None
    if kind == "bool" and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "float" and _NUMBER.fullmatch(text):
        return float(text)
    return _refuse(node, problems, path)


def _refuse(node: yaml.Node, problems: Problems, path: str) -> None:
    kind = node.tag.removeprefix(_TAG)
    problems.add(_REFUSALS.get(kind, "a tag that JSON has no type for"), path, line_of(node))


_NOT_DECIMAL: Final = "write the number in decimal digits, or in quotes if it is text"
_REFUSALS: Final = {
    "timestamp": "a date is not a JSON value: write it in quotes",
    "int": _NOT_DECIMAL,
    "float": _NOT_DECIMAL,
    "merge": "write << in quotes",
}
