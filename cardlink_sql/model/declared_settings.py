"""The settings that CardLink knows: what each may be, and what holds where none is stored."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.model import validation
from cardlink_sql.model.validation import Check


@dataclass(frozen=True, slots=True)
class DeclaredSetting:
    """A setting that CardLink knows.

    Args:
        key: its key; the part before the first period is its category.
        default: the value where none is stored.
        form: the values that it takes, in words.
        rule: refuses any other value.
        description: what it is for, with its unit.
    """

    key: str
    default: int | bool
    form: str
    rule: Check
    description: str

    @property
    def category(self) -> str:
        """The category, which no writer can change."""
        return category_of(self.key)

    def check(self, value: Any, where: str) -> None:
        """Refuse a value that the setting does not take.

        Raises:
            ValidationError: it does not; the error names what it takes.
        """
        try:
            self.rule(value, where)
        except ValidationError:
            raise ValidationError(f"{reprlib.repr(value)} is not {self.form}", where) from None


def category_of(key: str) -> str:
    """The category of a key that has none set: the part before its first period.

    ``general`` where that is nothing that can be a category.
    """
    category, period, _ = key.partition(".")
    is_one = category and category == category.strip() and len(category) <= 64
    return category if period and is_one else "general"


def _number(key: str, default: int, least: int, most: int, description: str) -> DeclaredSetting:
    rule = partial(validation.whole, least=least, most=most)
    form = f"a whole number from {least} to {most}"
    return DeclaredSetting(key, default, form, rule, description)


def _switch(key: str, description: str) -> DeclaredSetting:
    return DeclaredSetting(
        key, default=True, form="true or false", rule=validation.boolean, description=description
    )


def _port(key: str, default: int, of: str) -> DeclaredSetting:
    return _number(key, default, 1, 65_535, f"TCP port of {of}")


# A hundred years keep everything.
_LONGEST_RETENTION_DAYS: Final = 36_500

DECLARED: Final[Mapping[str, DeclaredSetting]] = MappingProxyType(
    {
        setting.key: setting
        for setting in (
            _switch("dashboard.enabled", "Whether the dashboard runs"),
            _port("dashboard.port", 8080, "the dashboard"),
            _switch("metrics.enabled", "Whether metrics are served"),
            _port("metrics.port", 9090, "the metrics"),
            _number(
                "retention.logs_days", 30, 1, _LONGEST_RETENTION_DAYS,
                "Days that communication logs are kept",
            ),
            _number(
                "retention.sessions_days", 90, 1, _LONGEST_RETENTION_DAYS,
                "Days that OTA sessions are kept",
            ),
            _port("server.port", 8443, "the admin server"),
            _number(
                "server.timeout", 60, 1, 86_400,
                "Seconds that the admin server waits for a card",
            ),
        )
    }
)  # fmt: skip

CATEGORIES: Final = frozenset(setting.category for setting in DECLARED.values())


def check_undeclared(key: str, category: str | None, where: str) -> None:
    """Refuse a key that is not declared where it would pass for one that is.

    Such keys have their own category, so that a misspelled one is not stored in silence.

    Args:
        key: a key that is not declared.
        category: what the writer sets; without one it has that of :func:`category_of`.
        where: the key's path, for the error.

    Raises:
        ValidationError: the key is named as a category that has declared settings, or is in it.
    """
    if key in CATEGORIES:
        some = next(name for name in sorted(DECLARED) if name.startswith(f"{key}."))
        raise ValidationError(
            f"{key} is a category and no setting", where, f"name its settings in full, as {some}"
        )
    chosen = category_of(key) if category is None else category
    if chosen in CATEGORIES:
        of_category = [name for name in sorted(DECLARED) if category_of(name) == chosen]
        near = get_close_matches(key, of_category, n=1) or of_category
        raise ValidationError(
            f"no setting {key!r} is declared in the category {chosen}",
            where,
            f"it has {', '.join(near)}; put your own keys into a category that is not declared",
        )
