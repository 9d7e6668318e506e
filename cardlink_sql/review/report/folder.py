"""Writes the report into a folder: all of it, or no first page."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.formats.files import write_atomically

INDEX: Final = "index.html"
# Lists the files of the report; no other file is ours.
MANIFEST: Final = ".cardlink-report"


def check_folder(folder: Path) -> None:
    """Raise an error if a report cannot be written there.

    Raises:
        ValidationError: it is a file, or a folder with files but no report.
        DatabaseError: it cannot be read.
    """
    with _errors(folder):
        if folder.exists() and not folder.is_dir():
            raise ValidationError(f"{folder} is a file; name a folder")
        if not folder.is_dir() or (folder / MANIFEST).is_file():
            return
        # A killed write leaves a file that begins so.
        if any(not file.name.startswith(".cardlink-") for file in folder.iterdir()):
            raise ValidationError(
                f"{folder} holds files but no report of cardlink-db; name a new or empty folder"
            )


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write a report, or replace the one that is there.

    The first page is removed first and written last, so an interrupted report has none. The folder
    itself stays, for a server that shows it; so do files that no report wrote.

    Args:
        folder: created if missing, with its parents.
        files: the text of each file, by name.

    Raises:
        ValidationError: see :func:`check_folder`.
        DatabaseError: it cannot be written.
    """
    check_folder(folder)
    manifest = folder / MANIFEST
    with _errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INDEX).unlink(missing_ok=True)
        old = manifest.read_text("utf-8", "replace").splitlines() if manifest.is_file() else []
        for file in [*folder.iterdir()]:
            if file.name in old and file.name not in files:
                file.unlink()
    texts = {MANIFEST: "".join(f"{name}\n" for name in sorted(files)), **files}
    for name in sorted(texts, key=lambda name: (name == INDEX, name)):
        with write_atomically(folder / name) as written:
            written.write(texts[name])


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatabaseError(
            f"the folder cannot be written: {error.strerror or error}",
            str(folder),
            "check its parent and the rights there",
        ) from error
