"""Settings: ``sql/*/settings.sql``.

CardLink's own keys are declared in ``cardlink_sql/model/declared_settings.py``, and components
add theirs by ``declare_setting``: such a key takes certain values only. Any other key may be
stored, with any JSON value.
"""

from types import EllipsisType
from typing import Any, ClassVar, Unpack

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.rows import Gives
from cardlink_sql.errors import NotFoundError, ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.settings_yaml import SettingEntry, read_settings, write_settings
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.filters import SettingFilter, SettingOrder
from cardlink_sql.model import validation
from cardlink_sql.model.declared_settings import (
    HIDDEN,
    category_of,
    check_is_no_category,
    check_type,
    declared_categories,
    declared_settings,
    is_secret,
    nearest_declared,
)
from cardlink_sql.model.records.page import Page
from cardlink_sql.model.records.setting import Setting, SettingInForce, SettingsImport
from cardlink_sql.model.tables import settings


class SettingGateway(Gateway[Setting, str]):
    """The settings, ordered by key where nothing else is said.

    The methods of every gateway only see the stored rows; the methods here know the
    declared defaults, too.
    """

    __slots__ = ()
    name = "settings"
    table = settings
    record = Setting
    event = EventType.SETTINGS_CHANGED
    entity = "setting"
    key = "key"
    default_order = "key"
    gives: ClassVar[Gives] = {"get_categories": {"category": str}}

    # Reading

    def find_by(self, **filters: Unpack[SettingFilter]) -> list[Setting]:
        """Return the settings whose columns equal the values given; ``None`` asks for NULL."""
        return self._find_by(filters)

    def find_one_by(self, **filters: Unpack[SettingFilter]) -> Setting | None:
        """Return the first setting that :meth:`find_by` would return, or ``None``."""
        return self._find_one_by(filters)

    def count_by(self, **filters: Unpack[SettingFilter]) -> int:
        """Count the settings that :meth:`find_by` would return, in the database."""
        return self._count_by(filters)

    def paginate(
        self,
        page: int = 1,
        per_page: int = 20,
        order_by: SettingOrder | None = None,
        descending: bool = False,  # noqa: FBT001, FBT002
        **filters: Unpack[SettingFilter],
    ) -> Page[Setting]:
        """Return a page of the settings. The queries are ``find_by`` and ``count_by``."""
        return self._paginate(page, per_page, order_by, descending, filters)

    def get_value(self, key: str, default: Any = ...) -> Any:
        """Return a key's value: the stored one, else the declared default, else ``default``.

        A stored ``None``, ``False``, ``0`` or ``""`` is a value. The query is ``get_by_id``.

        Args:
            default: the value where nothing is stored or declared; ``None`` is one, too.

        Raises:
            NotFoundError: nothing is stored or declared, and no ``default`` was given.
        """
        stored = self.get_by_id(key)
        if stored is not None:
            return stored.value
        declared = declared_settings().get(key)
        if declared is not None:
            return declared.default
        if default is ...:
            raise _absent(key)
        return default

    def get_in_force(self, key: str, *, show_secrets: bool = False) -> SettingInForce:
        """Return the value in force for a key, and its declaration. The query is ``get_by_id``.

        Without ``show_secrets`` the value of a secret is ``***``.

        Raises:
            NotFoundError: nothing is stored or declared.
        """
        stored = self.get_by_id(key)
        if stored is None and key not in declared_settings():
            raise _absent(key)
        return _in_force(key, stored, show_secrets=show_secrets)

    def get_int(self, key: str, default: int | EllipsisType = ...) -> int:
        """Return :meth:`get_value`; ``ValidationError`` unless a whole number, not a boolean."""
        return check_type(validation.whole, key, self.get_value(key, default))

    def get_bool(self, key: str, default: bool | EllipsisType = ...) -> bool:  # noqa: FBT001
        """Return :meth:`get_value`; ``ValidationError`` unless true or false, not a number."""
        return check_type(validation.boolean, key, self.get_value(key, default))

    def get_float(self, key: str, default: float | EllipsisType = ...) -> float:
        """Return :meth:`get_value` as float; ``ValidationError`` unless a number, not a boolean."""
        return check_type(validation.number, key, self.get_value(key, default))

    def get_str(self, key: str, default: str | EllipsisType = ...) -> str:
        """Return :meth:`get_value`; ``ValidationError`` unless text."""
        return check_type(validation.text, key, self.get_value(key, default))

    def get_all_settings(self) -> dict[str, Any]:
        """Return every value in force by key: stored, or the declared default.

        A secret is ``***``: :meth:`get_value` reads one. The query is ``find_by``.
        """
        return {setting.key: setting.value for setting in self.find_in_force()}

    def get_by_category(self, category: str) -> dict[str, Any]:
        """Return the values in force of one category by key, as :meth:`get_all_settings`."""
        return {setting.key: setting.value for setting in self.find_in_force(category)}

    def find_in_force(
        self, category: str | None = None, *, show_secrets: bool = False
    ) -> list[SettingInForce]:
        """Return every stored setting, and the declared ones that are not, by key.

        Without ``show_secrets`` the values of secrets are ``***``. The query is ``find_by``.
        """
        wanted = None if category is None else self._given("category", category)
        stored = {setting.key: setting for setting in self.get_all()}
        keys = sorted(stored.keys() | declared_settings().keys())
        found = [_in_force(key, stored.get(key), show_secrets=show_secrets) for key in keys]
        return [setting for setting in found if wanted in (None, setting.category)]

    def get_categories(self) -> list[str]:
        """Return the categories of all stored and declared settings, in order."""
        return sorted({*self._firsts("get_categories", {}), *declared_categories()})

    # Writing

    def set_value(
        self,
        key: str,
        value: Any,
        description: str | None = None,
        category: str | None = None,
    ) -> Setting:
        """Store a value, whether or not the key has one; return the setting as it is stored.

        Args:
            key: 1 to 128 characters.
            value: any JSON value; for a declared key one that it takes.
            description: at most 256 characters. Without one it stays as it was; at first it is
                the declared one.
            category: for a key that is not declared. Without one it stays as it was; at first it
                is the part before the first period of the key, or ``general``.

        Raises:
            ValidationError: key or value is refused; the error names what is accepted.
        """
        self._execute("set_value", self._new_values(key, value, description, category, _path(key)))
        return self._note("set", self._required(key))

    def delete(self, record: Setting | str) -> bool:
        """Delete a setting, named by its record or its key; whether it was stored.

        A declared one has its default then. The query is ``delete_by_id``.
        """
        return self.delete_by_id(record) if isinstance(record, str) else super().delete(record)

    def reset_to_defaults(self, category: str | None = None) -> list[str]:
        """Delete the stored values of declared settings; return the keys that had one.

        What is not declared has no default and stays. The query is ``delete_by_id``.

        Raises:
            ValidationError: no declared setting has this category.
        """
        categories = declared_categories()
        if category is not None and category not in categories:
            listed = ", ".join(sorted(categories))
            raise ValidationError(f"{category!r} is none of: {listed}", "category")
        return [
            key
            for key, declared in declared_settings().items()
            if category in (None, declared.category) and self.delete_by_id(key)
        ]

    # YAML

    def export_yaml(self, *, show_secrets: bool = False) -> str:
        """Return every setting as YAML that :meth:`import_yaml` reads; the query is ``find_by``.

        A declared setting that is not stored is a comment, with its default; so is a secret, as
        ``***``, without ``show_secrets``. The form is described in
        ``cardlink_sql/formats/settings_yaml.py``.
        """
        return write_settings(self.find_in_force(show_secrets=show_secrets))

    def import_yaml(self, text: str, name: str = "settings") -> SettingsImport:
        """Store the settings of a YAML text, all or none; those that it does not name stay.

        A description or category that the text leaves out stays as it was.
        The queries are ``find_by`` and ``set_value``.

        Args:
            text: YAML without aliases, dates and tags beyond JSON's types, at most a MiB.
            name: how errors name the text.

        Raises:
            ValidationError: a value is refused; each one is named, with its line.
        """
        problems = Problems(name, "run: cardlink-db settings list, which shows keys and values")
        new = [
            (entry, values)
            for entry in read_settings(text, problems)
            if (values := self._import_values(entry, problems)) is not None
        ]
        problems.refuse()
        stored = {setting.key: setting for setting in self.get_all()}
        done = SettingsImport([], [], [])
        for entry, values in new:
            before = stored.get(entry.key)
            if before is not None and _says_nothing_new(entry, before):
                done.unchanged.append(entry.key)
                continue
            self._execute("set_value", values)
            self._note("set", self._required(entry.key))
            (done.created if before is None else done.updated).append(entry.key)
        self._note_batch("import_yaml", len(done.created) + len(done.updated))
        return done

    def _import_values(self, entry: SettingEntry, problems: Problems) -> dict[str, Any] | None:
        try:
            return self._new_values(
                entry.key, entry.value, entry.description, entry.category, where=entry.key
            )
        except ValidationError as error:
            problems.add_refusal(error, entry.line)
            return None

    # Inside

    def _new_values(
        self, key: str, value: Any, description: str | None, category: str | None, where: str
    ) -> dict[str, Any]:
        """Return the parameters of ``set_value``, checked."""
        _check(key, value, category, where)
        declared = declared_settings().get(key)
        first_description = declared.description if declared else None
        now = self._time(None)
        values = {
            "key": self._key(key),
            "value": self._bind["value"](value),
            "description": first_description,
            "category": category_of(key),
            "created_at": now,
            "updated_at": now,
        }
        if description is not None:
            text = validation.text(description, f"{where}.description", 256)
            values |= {"description": text, "new_description": True}
        if category is not None:
            text = validation.identifier(category, f"{where}.category", 64)
            values |= {"category": text, "new_category": True}
        return values

    def _values(self, record: Setting, leave: frozenset[str]) -> dict[str, Any]:
        self._check_kind(record)
        _check(record.key, record.value, record.category, _path(record.key))
        return super()._values(record, leave)


def _absent(key: str) -> NotFoundError:
    near = "".join(f"; there is {name}" for name in nearest_declared(key))
    return NotFoundError(
        f"no setting {key!r} is stored or declared{near}",
        "settings",
        "run: cardlink-db settings list",
    )


def _path(key: str) -> str:
    return f"settings[{key}]"


def _check(key: str, value: Any, category: str | None, where: str) -> None:
    name = validation.identifier(key, "settings.key")
    validation.json_value(value, where)
    declared = declared_settings().get(name)
    if declared is None:
        check_is_no_category(name, where)
        return
    declared.check(value, where)
    if category not in (None, declared.category):
        raise ValidationError(
            f"the category of {key} is {declared.category}, not {category!r}", f"{where}.category"
        )


def _says_nothing_new(entry: SettingEntry, stored: Setting) -> bool:
    return (
        _same(entry.value, stored.value)
        and entry.description in (None, stored.description)
        and entry.category in (None, stored.category)
    )


def _same(first: Any, second: Any) -> bool:
    """Return whether two JSON values are equal; in Python, 1 also equals 1.0 and True."""
    if type(first) is not type(second) or first != second:
        return False
    if isinstance(first, dict):
        return all(_same(value, second[key]) for key, value in first.items())
    return not isinstance(first, list) or all(map(_same, first, second))


def _in_force(key: str, stored: Setting | None, *, show_secrets: bool) -> SettingInForce:
    declared = declared_settings().get(key)
    default = declared.default if declared else None
    description = stored.description if stored else None
    if description is None and declared:
        description = declared.description
    value = stored.value if stored else default
    if is_secret(key) and not show_secrets:
        value, default = (None if one is None else HIDDEN for one in (value, default))
    return SettingInForce(
        key=key,
        value=value,
        category=declared.category if declared else stored.category if stored else category_of(key),
        description=description,
        is_stored=stored is not None,
        is_declared=declared is not None,
        default=default,
        form=declared.form if declared else None,
        updated_at=stored.updated_at if stored else None,
        is_secret=is_secret(key),
    )
