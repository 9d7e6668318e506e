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
    default: int | bool | str
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


def _switch(key: str, description: str, *, default: bool = True) -> DeclaredSetting:
    return DeclaredSetting(key, default, "true or false", validation.boolean, description)


def _host(key: str, default: str, of: str) -> DeclaredSetting:
    rule = partial(validation.identifier, longest=255)
    form = "a host name or address of 1 to 255 characters"
    return DeclaredSetting(key, default, form, rule, f"Address that {of} listens on")


def _url_path(value: Any, where: str) -> None:
    if not validation.identifier(value, where, 255).startswith("/"):
        raise ValidationError("the path does not begin with /", where)


def _port(key: str, default: int, of: str) -> DeclaredSetting:
    return _number(key, default, 1, 65_535, f"TCP port of {of}")


# A hundred years keep everything.
_LONGEST_RETENTION_DAYS: Final = 36_500

DECLARED: Final[Mapping[str, DeclaredSetting]] = MappingProxyType(
    {
        setting.key: setting
        for setting in (
            _switch("dashboard.auth", "Whether the dashboard asks for a login", default=False),
            _switch("dashboard.enabled", "Whether the dashboard runs"),
            _host("dashboard.host", "127.0.0.1", "the dashboard"),
            _port("dashboard.port", 8080, "the dashboard"),
            _switch("metrics.enabled", "Whether metrics are served"),
            DeclaredSetting(
                "metrics.path", "/metrics", "a path of 1 to 255 characters that begins with /",
                _url_path, "URL path of the metrics",
            ),
            _port("metrics.port", 9090, "the metrics"),
            _number(
                "retention.logs_days", 30, 1, _LONGEST_RETENTION_DAYS,
                "Days that communication logs are kept",
            ),
            _number(
                "retention.sessions_days", 90, 1, _LONGEST_RETENTION_DAYS,
                "Days that OTA sessions are kept",
            ),
            _number(
                "retention.tests_days", 90, 1, _LONGEST_RETENTION_DAYS,
                "Days that test results are kept",
            ),
            DeclaredSetting(
                "server.cipher_suites", "PSK-AES128-CBC-SHA256",
                "text of 1 to 1024 characters", partial(validation.identifier, longest=1024),
                "TLS cipher suites, as OpenSSL names them",
            ),
            _host("server.host", "0.0.0.0", "the admin server"),  # noqa: S104 - cards are elsewhere
            _number(
                "server.max_connections", 100, 1, 65_535,
                "Cards that the admin server serves at once",
            ),
            _port("server.port", 8443, "the admin server"),
            _number(
                "server.session_timeout", 300, 1, 86_400,
                "Seconds that an OTA session may take",
            ),
            _number(
                "server.timeout", 60, 1, 86_400,
                "Seconds that the server waits for a card",
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
