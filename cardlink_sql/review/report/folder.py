"""The report as a folder: whole, or without its first page."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.formats.files import write_atomically

INDEX: Final = "index.html"
# Lists the files of the report; no other file is ours.
MANIFEST: Final = ".cardlink-report"
# What a kill leaves of a file, and the manifest: see cardlink_sql/formats/files.py.
_OWN: Final = ".cardlink-"


def check_folder(folder: Path) -> None:
    """Refuse to write a report where something else is.

    Raises:
        ValidationError: it is no folder, or one that holds files and no report.
        DatabaseError: it cannot be read.
    """
    with _told(folder):
        if folder.exists() and not folder.is_dir():
            raise ValidationError(f"{folder} is a file; name a folder")
        is_report = (folder / MANIFEST).is_file()
        if folder.is_dir() and not is_report and any(map(_is_foreign, folder.iterdir())):
            raise ValidationError(
                f"{folder} holds files and no report of cardlink-db; name a new or an empty folder"
            )


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write a report, in place of the one that is there.

    The first page goes first and comes last: a report that was interrupted has none. The folder
    itself stays, for what serves it; files that no report wrote stay, too.

    Args:
        folder: made where it is missing, its parents, too.
        files: the text of each file, by name; one is the first page.

    Raises:
        ValidationError: see :func:`check_folder`.
        DatabaseError: it cannot be written.
    """
    check_folder(folder)
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INDEX).unlink(missing_ok=True)
        _remove_old(folder, files)
    manifest = "".join(f"{name}\n" for name in sorted(files))
    others = [(name, text) for name, text in sorted(files.items()) if name != INDEX]
    for name, text in ((MANIFEST, manifest), *others, (INDEX, files[INDEX])):
        with write_atomically(folder / name) as file:
            file.write(text)


def _is_foreign(file: Path) -> bool:
    return not file.name.startswith(_OWN)


def _remove_old(folder: Path, files: Mapping[str, str]) -> None:
    """Remove what an older report wrote and this one does not."""
    manifest = folder / MANIFEST
    if manifest.is_file():
        old = set(manifest.read_text("utf-8", "replace").splitlines()) - files.keys()
        for file in sorted(folder.iterdir()):
            if file.name in old:
                file.unlink()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tell what the system refuses as an error of the project."""
    try:
        yield
    except OSError as error:
        raise DatabaseError(
            f"the folder cannot be written: {error.strerror or error}",
            str(folder),
            "check its parent and the rights there",
        ) from error
