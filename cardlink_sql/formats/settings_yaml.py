"""Settings as YAML: one key a line, for people to read and change.

::

    # TCP port of the admin server: a whole number from 1 to 65535
    server.port: 9443
    # Seconds that the server waits for a card: a whole number from 1 to 86400
    # server.timeout: 60

    lab.operator:
      value: Ada
      description: who to call
      category: people

A mapping that has the key ``value`` is the long form of a setting, with a description and, for
a key that is not declared, a category. Anything else after a key is its value; a value
that is itself a mapping with the key ``value`` needs the long form.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import indent
from typing import Any, Final

from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.strict_yaml import Author, Fields, read_yaml, write_yaml
from cardlink_sql.model.declared_settings import HIDDEN, category_of, declared_settings
from cardlink_sql.model.records.setting import SettingInForce

_LONG_FORM: Final = ("value", "description", "category")
_HEADER: Final = """\
# Settings of CardLink, for: cardlink-db settings import
# A comment shows the default of a key that is not set, and hides a secret.
"""


@dataclass(frozen=True, slots=True)
class SettingEntry:
    """A setting in a file; ``None`` for each part that the file does not state."""

    line: int
    key: str
    value: Any
    description: str | None = None
    category: str | None = None


def write_settings(settings: Iterable[SettingInForce]) -> str:
    """Return settings as YAML, by category; keys with only a default are comments."""
    parts = [_HEADER]
    category = None
    for setting in sorted(settings, key=lambda one: (one.category, one.key)):
        if setting.category != category:
            parts.append("\n")
            category = setting.category
        parts.append(_written(setting))
    return "".join(parts)


def _written(setting: SettingInForce) -> str:
    declared = declared_settings().get(setting.key)
    comment = f"# {declared.description}: {declared.form}\n" if declared else ""
    line = write_yaml({setting.key: _entry(setting)})
    is_hidden = setting.is_secret and setting.value == HIDDEN
    holds = setting.is_stored and not is_hidden
    return f"{comment}{line}" if holds else f"{comment}{indent(line, '# ')}"


def _entry(setting: SettingInForce) -> Any:
    """Return the text after the key: the value, or the long form if there is more to state."""
    # PostgreSQL does not keep the order of an object's keys, so they are always sorted.
    value = json.loads(json.dumps(setting.value, sort_keys=True))
    declared = declared_settings().get(setting.key)
    more = {}
    if setting.description != (declared.description if declared else None):
        more["description"] = setting.description
    if setting.category != category_of(setting.key):
        more["category"] = setting.category
    is_long = bool(more) or (isinstance(value, dict) and "value" in value)
    return {"value": value, **more} if is_long else value


def read_settings(text: str, problems: Problems) -> list[SettingEntry]:
    """Return the settings of a YAML text.

    Args:
        text: at most a MiB; comments only are zero settings.
        problems: collects values that are not JSON or not the long form; those are skipped. The
            gateway checks whether a setting takes a value.

    Raises:
        ValidationError: the text is not YAML.
    """
    root = read_yaml(text, problems, Author.PERSON)
    if root is None:
        return []
    if not isinstance(root, Fields):
        problems.add("not a mapping: write a key and its value in each line")
        return []
    entries = []
    for key, value in root.items():
        known = problems.count
        entry = _read_entry(key, root.lines[key], value, problems)
        if problems.count == known and key not in root.faulty:
            entries.append(entry)
    return entries


def _read_entry(key: str, line: int, value: Any, problems: Problems) -> SettingEntry:
    if not isinstance(value, dict) or "value" not in value:
        return SettingEntry(line, key, value)
    for name in value.keys() - set(_LONG_FORM):
        problems.add(
            f"{name!r} is none of {', '.join(_LONG_FORM)}; put a mapping under value:",
            key,
            line,
        )
    return SettingEntry(line, key, value["value"], value.get("description"), value.get("category"))
