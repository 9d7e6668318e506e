"""The settings that CardLink knows: what each may be, and what holds where none is stored."""

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import Any, Final, TypeVar

from cardlink_sql.errors import ValidationError
from cardlink_sql.model import validation
from cardlink_sql.model.validation import Check

# Stands for a secret where it is not asked for; no secret may be it.
HIDDEN: Final = "***"
_MAX_TEXT: Final = 65_536
# How alike two keys are that probably mean one; unrelated ones of one ending are below.
_LIKENESS: Final = 0.8

Default = int | float | bool | str | None
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeclaredSetting:
    """A setting that CardLink or a component of it knows.

    Args:
        key: its key; the part before the first period is its category.
        default: the value where none is stored; ``None`` where there is none.
        form: the values that it takes, in words.
        rule: refuses any other value.
        description: what it is for, with its unit.
        secret: whether lists and exports leave the value out unless asked.
    """

    key: str
    default: Default = field(repr=False)
    form: str
    rule: Check = field(compare=False, repr=False)  # equal ones have the same form
    description: str
    secret: bool = False

    @property
    def category(self) -> str:
        """Return the category, which no writer can change."""
        return category_of(self.key)

    def check(self, value: Any, where: str) -> None:
        """Refuse a value that the setting does not take, by an error that names what it takes."""
        if self.secret and value == HIDDEN:
            raise ValidationError(f"{HIDDEN} replaces a secret that is not shown", where)
        try:
            self.rule(value, where)
        except ValidationError:
            shown = "the secret" if self.secret else reprlib.repr(value)
            raise ValidationError(f"{shown} is not {self.form}", where) from None


def category_of(key: str) -> str:
    """Return the category of a key that has none set: the part before its first period.

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


def _days(key: str, default: int, of: str) -> DeclaredSetting:
    # A hundred years keep everything.
    return _number(key, default, 1, 36_500, f"Days that {of} are kept")


_OWN: Final = MappingProxyType(
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
            _days("retention.logs_days", 30, "communication logs"),
            _days("retention.sessions_days", 90, "OTA sessions"),
            _days("retention.tests_days", 90, "test results"),
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
                "server.session_timeout", 300, 1, 86_400, "Seconds that an OTA session may take"
            ),
            _number("server.timeout", 60, 1, 86_400, "Seconds that the server waits for a card"),
        )
    }
)  # fmt: skip


# Replaced whole, never changed: readers need no lock.
_registry = _OWN
_writing = Lock()


def declared_settings() -> Mapping[str, DeclaredSetting]:
    """Return the settings declared so far, by key; a later declaration does not change it."""
    return _registry


def declared_categories() -> frozenset[str]:
    """Return the categories of the settings declared so far."""
    return frozenset(setting.category for setting in _registry.values())


def is_secret(key: str) -> bool:
    """Return whether a key is declared as a secret."""
    declared = _registry.get(key)
    return declared is not None and declared.secret


def check_type(check: Callable[[Any, str], T], key: str, value: Any) -> T:
    """Hold the value of a key to a type; a refusal does not show a secret."""
    where = f"settings[{key}]"
    try:
        return check(value, where)
    except ValidationError:
        if is_secret(key):
            raise ValidationError("the secret is of another type", where) from None
        raise


def declare_setting(
    key: str,
    kind: type[bool] | type[int] | type[float] | type[str],
    default: Default = None,
    *,
    least: float | None = None,
    most: float | None = None,
    description: str,
    secret: bool = False,
) -> DeclaredSetting:
    """Declare a setting of a component, for this process; declaring it twice alike is allowed.

    Args:
        key: its key; the part before the first period is its category.
        kind: the type of its values: ``bool``, ``int``, ``float`` or ``str``.
        default: the value where none is stored; ``None`` where there is none.
        least: the smallest number, or the fewest characters of a text.
        most: the largest number, or the most characters of a text.
        description: what it is for, with its unit; 1 to 256 characters.
        secret: leave the value out of lists and exports unless asked.

    Raises:
        ValidationError: the declaration is not sound, or the key is already declared differently.
    """
    where = f"declare_setting({key!r})"
    name = validation.identifier(key, where)
    if category_of(name) != name.partition(".")[0] or name.endswith("."):
        raise ValidationError("the key has no category", where, "name it as category.name")
    text = validation.filled(description, f"{where}.description", 256)
    form, rule = _rule(kind, least, most, where)
    declared = DeclaredSetting(name, default, form, rule, text, secret)
    if default is not None:
        declared.check(default, f"{where}.default")
    _add(declared, where)
    return declared


def _add(declared: DeclaredSetting, where: str) -> None:
    global _registry  # noqa: PLW0603 - the one place that replaces it
    with _writing:
        if _registry.get(declared.key, declared) != declared:
            raise ValidationError(
                "the key is already declared differently", where, "take another key"
            )
        _registry = MappingProxyType({**_registry, declared.key: declared})


def _rule(kind: Any, least: float | None, most: float | None, where: str) -> tuple[str, Check]:
    if kind is bool and least is None and most is None:
        return "true or false", validation.boolean
    if not isinstance(kind, type) or kind not in _RANGES:
        raise ValidationError("the type must be bool (without a range), int, float or str", where)
    rule, words, lowest, highest = _RANGES[kind]
    bound = (
        validation.number
        if kind is float
        else partial(validation.whole, least=lowest, most=highest)
    )
    low = lowest if least is None else bound(least, f"{where}.least")
    high = highest if most is None else bound(most, f"{where}.most")
    form = words.format(low, high)
    if low > high:
        raise ValidationError(f"no value is {form}", where)
    return form, partial(rule, least=low, most=high)


def _number_within(value: Any, where: str, least: float, most: float) -> None:
    if not least <= validation.number(value, where) <= most:
        raise ValidationError("the number is out of range", where)


def _text_within(value: Any, where: str, least: int, most: int) -> None:
    if len(validation.text(value, where, most)) < least:
        raise ValidationError("the text is too short", where)


# By type: the check, the range in words, and the widest one.
_RANGES: Final[Mapping[type, tuple[Callable[..., Any], str, Any, Any]]] = {
    int: (validation.whole, "a whole number from {} to {}", -(2**63), validation.MAX_INTEGER),
    float: (_number_within, "a number from {} to {}", -1e15, 1e15),
    str: (_text_within, "text of {} to {} characters", 0, _MAX_TEXT),
}


def check_undeclared(key: str, category: str | None, where: str) -> None:
    """Refuse a key that is not declared where it would pass for one that is.

    For people at the command line, so that a misspelled key is not stored in silence.

    ``category`` is what the writer sets; without one it is that of :func:`category_of`.

    Raises:
        ValidationError: the key is named as a category that has declared settings, or is in it, or
            it resembles a declared key.
    """
    check_is_no_category(key, where)
    chosen = category_of(key) if category is None else category
    of_category = [name for name in sorted(declared_settings()) if category_of(name) == chosen]
    near = nearest_declared(key) or of_category
    if near:
        raise ValidationError(
            f"no setting {key!r} is declared; there is {', '.join(near)}; "
            "add --new for an undeclared key",
            where,
        )


def nearest_declared(key: str) -> list[str]:
    """Return the declared key that a mistyped one probably means, or nothing."""
    return get_close_matches(key, declared_settings(), n=1, cutoff=_LIKENESS)


def check_is_no_category(key: str, where: str) -> None:
    """Refuse a key that is named as a category of declared settings, by ``ValidationError``."""
    if key in declared_categories():
        some = next(name for name in sorted(declared_settings()) if name.startswith(f"{key}."))
        raise ValidationError(
            f"{key} is a category and no setting", where, f"name its settings in full, as {some}"
        )
