"""``cardlink-db settings``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cardlink_sql.cli.shared.completion import complete_setting
from cardlink_sql.cli.shared.components import load_components
from cardlink_sql.cli.shared.database import open_manager, open_to_read, open_to_write
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import (
    AsJson,
    DryRun,
    Force,
    Output,
    Url,
    Yes,
    argument,
    confirm,
    group,
)
from cardlink_sql.cli.shared.output import output, seconds, visible
from cardlink_sql.cli.shared.rows import Column, listing, print_list
from cardlink_sql.errors import NotFoundError, ValidationError
from cardlink_sql.formats.files import refuse_existing, write_atomically
from cardlink_sql.formats.text import read_text
from cardlink_sql.model.declared_settings import (
    HIDDEN,
    check_undeclared,
    declared_settings,
    is_secret,
)
from cardlink_sql.model.records.setting import SettingInForce
from cardlink_sql.unit_of_work import UnitOfWork

_LONGEST_SHOWN: Final = 60
_ARGUMENTS: Final = {
    "settings.key": "KEY", "].description": "--description", "].category": "--category"
}  # fmt: skip

settings = group(
    "settings",
    "The settings of CardLink's components.",
    "cardlink-db settings set server.port 9443",
)
Key = Annotated[
    str,
    typer.Argument(metavar="KEY", help="Such as server.port.", autocompletion=complete_setting),
]
Category = Annotated[str | None, typer.Option(metavar="NAME", help="Of this category only.")]
ShowSecrets = Annotated[
    bool, typer.Option("--show-secrets", help=f"Show secrets, which are {HIDDEN} otherwise.")
]


@settings.callback()
def _with_components() -> None:
    load_components()


@settings.command("list")
@listing
def list_settings(
    *,
    category: Category = None,
    show_secrets: ShowSecrets = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show the settings that hold, stored or default.

    Example: cardlink-db settings list --category server
    """
    with open_to_read(url) as uow, argument("--category"):
        shown = uow.settings.find_in_force(category, show_secrets=show_secrets)
    print_list(shown, _COLUMNS, as_json=as_json, empty="No setting has this category.")


@settings.command()
def get(
    key: Key, *, show_secrets: ShowSecrets = False, as_json: AsJson = False, url: Url = None
) -> None:
    """Print the value that holds for a key.

    Text as it is, anything else as JSON.

    With --json what is known of the setting, too.

    Example: cardlink-db settings get server.port
    """
    with open_to_read(url) as uow, _arguments():
        held = uow.settings.get_in_force(key, show_secrets=show_secrets)
    if as_json:
        print_json(held.to_dict())
    else:
        typer.echo(held.value if isinstance(held.value, str) else _json(held.value))


NewCategory = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Without it, the part before the first period of a new key, or general.",
    ),
]


@settings.command("set", context_settings={"ignore_unknown_options": True})  # so that -5 is one
def set_setting(
    key: Key,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE",
            help="JSON, such as 9443, true, null or '\"12\"'; anything else is text.",
        ),
    ],
    *,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Its purpose; without it, the old one.")
    ] = None,
    category: NewCategory = None,
    new: Annotated[
        bool, typer.Option("--new", help="Take a key that its category does not declare.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Store the value of a setting.

    Example: cardlink-db settings set server.port 9443
    """
    if key.startswith("-"):  # ignore_unknown_options would store a mistyped option
        raise typer.BadParameter(f"there is no option {key}")
    with open_manager(url) as manager, UnitOfWork(manager) as uow, _arguments():
        if not (new or key in declared_settings() or uow.settings.exists(key)):
            check_undeclared(key, category, "settings.key")
        stored = uow.settings.set_value(key, _parsed(value), description, category)
        uow.commit()
    _print_values({stored.key: stored.value}, as_json=as_json)


@settings.command()
def remove(key: Key, *, yes: Yes = False, as_json: AsJson = False, url: Url = None) -> None:
    """Remove a stored setting.

    A declared one has its default again.

    Example: cardlink-db settings remove lab.operator
    """
    with open_to_read(url) as uow, _arguments():
        if not uow.settings.exists(key):
            raise NotFoundError(
                f"no setting {key!r} is stored", remedy="run: cardlink-db settings list"
            )
    confirm(f"Remove {key}?", yes=yes)
    with open_to_write(url) as uow:
        uow.settings.delete(key)
    if as_json:
        print_json({"removed": key})
    else:
        output.print(f"Removed {visible(key)}")


@settings.command()
def export(
    *,
    file: Output = None,
    force: Force = False,
    show_secrets: ShowSecrets = False,
    url: Url = None,
) -> None:
    """Write all settings as YAML.

    Keys with only a default are comments.

    Example: cardlink-db settings export --output settings.yaml
    """
    refuse_existing(file, force=force)
    with open_to_read(url) as uow:
        text = uow.settings.export_yaml(show_secrets=show_secrets)
    if file is None:
        typer.echo(text, nl=False)
        return
    with write_atomically(file, private=show_secrets) as written:
        written.write(text)


@settings.command("import")
def import_settings(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="YAML as export writes it.", exists=True)
    ],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Store the settings of a YAML file, all or none.

    Keys that it does not name stay.

    Example: cardlink-db settings import settings.yaml --dry-run
    """
    text = read_text(file)
    with open_manager(url) as manager, UnitOfWork(manager) as uow:
        done = uow.settings.import_yaml(text, str(file))
        if dry_run:
            uow.rollback()
        else:
            uow.commit()
    if as_json:
        print_json({**asdict(done), "dry_run": dry_run})
        return
    for verb, keys in (("created", done.created), ("updated", done.updated)):
        for key in keys:
            output.print(f"{verb}  {visible(key)}")
    output.print(
        f"{len(done.created)} created, {len(done.updated)} updated, "
        f"{len(done.unchanged)} unchanged{' by a dry run: nothing was written' if dry_run else ''}."
    )


@settings.command()
def reset(
    *,
    category: Category = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Reset declared settings to their defaults.

    Other settings stay.

    Example: cardlink-db settings reset --category server --yes
    """
    with open_manager(url) as manager:
        with UnitOfWork(manager) as uow, argument("--category"):
            found = uow.settings.reset_to_defaults(category)
            uow.rollback()  # only to ask about them
        if found:
            confirm(f"Reset {', '.join(found)}?", yes=yes)
            with UnitOfWork(manager) as uow:
                found = uow.settings.reset_to_defaults(category)
                uow.commit()
    _print_values({key: declared_settings()[key].default for key in found}, as_json=as_json)
    if not (found or as_json):
        output.print("Nothing to reset: the defaults hold.")


def _print_values(values: dict[str, Any], *, as_json: bool) -> None:
    """Print the values that keys have now, without secrets."""
    if as_json:
        print_json({key: HIDDEN if is_secret(key) else value for key, value in values.items()})
        return
    for key, value in values.items():
        output.print(visible(f"{key}: {HIDDEN if is_secret(key) else _json(value)}"))


@contextmanager
def _arguments() -> Iterator[None]:
    """Name the argument with the refused value; the exit code is 2."""
    try:
        yield
    except ValidationError as error:
        place = error.where or ""
        name = next((name for end, name in _ARGUMENTS.items() if place.endswith(end)), "VALUE")
        raise typer.BadParameter(error.what, param_hint=name) from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_json)
    except json.JSONDecodeError:
        return text
    except RecursionError:
        raise ValidationError("the JSON is nested too deeply", "VALUE") from None
    except ValueError:
        raise ValidationError("a number has too many digits", "VALUE") from None


def _no_json(name: str) -> None:
    """Refuse NaN and the infinities, which Python's parser accepts."""
    raise json.JSONDecodeError("not valid JSON", name, 0)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


_COLUMNS: Final[tuple[Column[SettingInForce], ...]] = (
    Column("Setting", lambda one: one.key),
    Column("value", lambda one: _cut(_json(one.value)), folds=True),
    Column("set (UTC)", lambda one: seconds(one.updated_at) or "default", leaves=2),
    Column("description", lambda one: one.description, folds=True, leaves=1),
)
