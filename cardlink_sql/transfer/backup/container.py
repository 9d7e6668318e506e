"""The file of a backup: a zip of the payload and, after it, ``manifest.json``.

A zip is read by every tool, finds its end missing when it is cut off, and keeps a checksum of
each part; the manifest holds the payload's size and SHA-256, too.
"""

import hashlib
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.formats.leftovers import MAKE_ROOM, temporary_folder
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.transfer.backup.manifest import (
    PAYLOAD_NAMES,
    Manifest,
    PayloadKind,
    parse_manifest,
)

MANIFEST_NAME: Final = "manifest.json"
CHUNK: Final = 1 << 20

_LARGEST_MANIFEST: Final = 1 << 20
# Level 1 takes a third of the default's time for nearly the same size: hex is easy.
_LEVEL: Final = 1
# The errors that zipfile raises for a damaged file, from the struct that is cut short to the
# feature that nobody asked for.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError, LookupError, MemoryError,
)  # fmt: skip


class _Payload(io.RawIOBase):
    """Counts and hashes what is written to the payload of a new backup."""

    def __init__(self, file: IO[bytes], on_progress: OnProgress) -> None:
        super().__init__()
        self._file = file
        self._on_progress = on_progress
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self.hash.update(data)
        self.size += len(data)
        self._on_progress(len(data))
        return len(data)


def write_container(
    file: IO[bytes],
    kind: PayloadKind,
    write: Callable[[IO[bytes]], Manifest],
    on_progress: OnProgress,
) -> Manifest:
    """Write a backup; ``write`` fills the payload and describes it."""
    # pg_dump has compressed its own.
    method = zipfile.ZIP_STORED if kind is PayloadKind.PG_DUMP else zipfile.ZIP_DEFLATED
    container = zipfile.ZipFile(file, "w", method, compresslevel=_LEVEL)
    try:
        with container.open(PAYLOAD_NAMES[kind], "w", force_zip64=True) as part:
            payload = _Payload(part, on_progress)
            with io.BufferedWriter(payload, CHUNK) as buffered:
                described = write(buffered)
        manifest = replace(described, size=payload.size, sha256=payload.hash.hexdigest())
        text = json.dumps(manifest.to_document(), indent=2, ensure_ascii=False)
        container.writestr(MANIFEST_NAME, f"{text}\n")
    except BaseException:
        # The file goes away, and a full disk would only speak again.
        with suppress(OSError):
            container.close()
        raise
    container.close()
    file.flush()
    return manifest


class Container:
    """A backup that is read; a damaged file raises ``ValidationError``."""

    def __init__(self, path: Path, on_progress: OnProgress = no_progress) -> None:
        self._on_progress = on_progress
        self.where: Final = str(path)
        with self._refused():
            self._zip = zipfile.ZipFile(path)
            try:
                self.manifest = self._read_manifest()
            except BaseException:
                self._zip.close()
                raise

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_error: object) -> None:
        self._zip.close()

    def chunks(self) -> Iterator[bytes]:
        """Return the payload piece by piece; after the last one it is known to be whole."""
        digest, size = hashlib.sha256(), 0
        with self._refused(), self._zip.open(self._payload) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                self._on_progress(len(chunk))
                yield chunk
        if size != self.manifest.size or digest.hexdigest() != self.manifest.sha256:
            raise self._damaged("its payload is not the one that the manifest describes")

    def unpack(self, target: Path) -> None:
        """Write the payload to a new file."""
        free = shutil.disk_usage(target.parent).free
        if self.manifest.size > free:
            raise DatabaseError(
                f"unpacking the backup takes {self.manifest.size:,} bytes, and {free:,} are free",
                str(target.parent),
                MAKE_ROOM,
            )
        with target.open("xb") as file:
            file.writelines(self.chunks())

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """Unpack the payload to a file that only this user can read, while the block lasts."""
        with temporary_folder() as folder:
            path = folder / PAYLOAD_NAMES[self.manifest.kind]
            self.unpack(path)
            yield path

    def _read_manifest(self) -> Manifest:
        info = self._zip.getinfo(MANIFEST_NAME)
        if info.file_size > _LARGEST_MANIFEST:
            raise self._damaged("its manifest is far too large")
        manifest = parse_manifest(self._zip.read(info), self.where)
        self._payload = self._zip.getinfo(PAYLOAD_NAMES[manifest.kind])
        if len(self._zip.infolist()) != 2 or self._payload.file_size != manifest.size:
            raise self._damaged("it does not hold what its manifest says")
        return manifest

    @contextmanager
    def _refused(self) -> Iterator[None]:
        try:
            yield
        except ValidationError:
            raise
        except (*_DAMAGE, OSError) as error:
            raise self._damaged(_reason(error)) from error

    def _damaged(self, reason: str) -> ValidationError:
        return ValidationError(
            f"not a whole backup: {reason}",
            self.where,
            "use another backup; nothing was changed",
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):  # zipfile seeks to where a damaged directory sends it
        return f"it cannot be read: {error.strerror or error}"
    if isinstance(error, KeyError):
        return "a part of it is missing"
    return str(error) or type(error).__name__
