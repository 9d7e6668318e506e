"""Running the servers' own dump tools, and no password on any command line; reading dumps."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardlink_sql.database.keyring import VARIABLE
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.container import CHUNK

# A row that an import of JSON lines takes, each of its characters escaped.
_LONGEST_LINE: Final = 2**26
_VERSION: Final = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Tool:
    """A program of a database server's.

    Args:
        path: where it is.
        version: what it says of itself, such as ``pg_dump (PostgreSQL) 15.20``.
        environment: its variables, added to the process's own; may hold a password.
        secrets: what no error may show.
        descriptors: the open files that it inherits.
    """

    path: str
    version: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    descriptors: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Return its name."""
        return Path(self.path).name

    @property
    def major(self) -> int:
        """Return the first number of its version; 0 where there is none."""
        found = _VERSION.search(self.version.partition("(PostgreSQL)")[2] or self.version)
        return int(found[0].partition(".")[0]) if found else 0

    def output(self, arguments: Iterable[str], remedy: str) -> Iterator[bytes]:
        """Run it and return what it prints, piece by piece; ``remedy`` is for its failure.

        Everybody on the machine can read the arguments.
        """
        with self._running(arguments, remedy, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            while piece := process.stdout.read(CHUNK):
                yield piece

    def feed(self, arguments: Iterable[str], pieces: Iterable[bytes], remedy: str) -> None:
        """Run it and write to it, piece by piece; what it prints is thrown away."""
        with self._running(arguments, remedy, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None  # noqa: S101 - it was asked for
            process.stdin.writelines(pieces)

    @contextmanager
    def _running(
        self,
        arguments: Iterable[str],
        remedy: str,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run it while the block lasts, and see that it ended well. An error kills it."""
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # noqa: S603 - found on the PATH, arguments are a list
                [self.path, *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=errors,
                env=_environment(self.environment),
                pass_fds=self.descriptors,
            )
            try:
                with suppress(BrokenPipeError):  # it has ended early, and says why
                    yield process
                    if process.stdin is not None:
                        process.stdin.close()
                process.wait()
            except BaseException:
                process.kill()
                raise
            finally:
                with suppress(BrokenPipeError):
                    process.__exit__(None, None, None)
            if process.returncode != 0:
                errors.seek(0)
                said = errors.read(CHUNK).decode(errors="replace")
                raise ToolError(self, said, remedy)


class ToolError(DatabaseError):
    """A tool ended with an error; ``said`` is all that it printed, without the secrets."""

    def __init__(self, tool: Tool, said: str, remedy: str) -> None:
        for secret in filter(None, tool.secrets):
            said = said.replace(secret, "***")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower()] or lines
        first = telling[0] if telling else "it printed nothing"
        super().__init__(f"{tool.name} failed: {first}", remedy=remedy)
        self.said = said


class UnusableToolError(DatabaseError):
    """A database cannot be backed up by its server's tool."""

    def __init__(self, what: str, manager: DatabaseManager) -> None:
        where, remedy = manager.config.safe_url, "see to that, or use --method jsonl"
        super().__init__(what, where, remedy)


def find_tool(name: str) -> Tool | None:
    """Return a program that is on the PATH and reports its version."""
    path = shutil.which(name)
    if path is None:
        return None
    said = subprocess.run(  # noqa: S603 - as above
        [path, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=_environment({}),
    )
    version = said.stdout.decode(errors="replace").strip()
    return Tool(path, version) if said.returncode == 0 else None


def missing(*names: str, product: str = "PostgreSQL") -> DatabaseError:
    """Return the error for a program that is not there."""
    return DatabaseError(
        f"there is no {' or '.join(names)} of {product}'s on the PATH",
        remedy=f"install {product}'s client programs; a backup by --method jsonl does without them",
    )


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a tool's environment: the process's own without the secrets that no tool needs."""
    own = {name: os.environ[name] for name in os.environ if name not in (VARIABLE, "DATABASE_URL")}
    return {**own, "LC_ALL": "C", **variables}


def lines(pieces: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Return the lines, with their ends, of a dump that comes in pieces.

    Raises:
        ValidationError: a line is longer than any row.
    """
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            what = f"a line of the dump is longer than {_LONGEST_LINE:,} bytes"
            raise ValidationError(what, where, "use a backup by --method jsonl")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest
