"""Running the servers' own dump tools, and no password on any command line."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Final

from cardlink_sql.database.keyring import VARIABLE
from cardlink_sql.errors import DatabaseError
from cardlink_sql.transfer.backup.container import CHUNK

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
        return os.path.basename(self.path)  # noqa: PTH119 - a name, not a file of ours

    @property
    def major(self) -> int:
        """Return the first number of its version; 0 where there is none."""
        found = _VERSION.search(self.version.partition("(PostgreSQL)")[2] or self.version)
        return int(found[0].partition(".")[0]) if found else 0

    def output(self, arguments: Iterable[str]) -> Iterator[bytes]:
        """Run it and return what it prints, piece by piece.

        Everybody on the machine can read the arguments.
        """
        with self._running(arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            while piece := process.stdout.read(CHUNK):
                yield piece

    def feed(self, arguments: Iterable[str], pieces: Iterable[bytes]) -> None:
        """Run it and write to it, piece by piece; what it prints is thrown away."""
        with self._running(arguments, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None  # noqa: S101 - it was asked for
            process.stdin.writelines(pieces)

    @contextmanager
    def _running(
        self,
        arguments: Iterable[str],
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
                raise ToolFailed(self, _read(errors))


class ToolFailed(Exception):  # noqa: N818 - a signal inside the package, never a caller's
    """A tool ended with an error; what it said, without the secrets."""

    def __init__(self, tool: Tool, said: str) -> None:
        for secret in filter(None, tool.secrets):
            said = said.replace(secret, "***")
        super().__init__(said)
        self.tool = tool
        self.said = said

    def error(self, remedy: str) -> DatabaseError:
        """Return the project's error for it."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower()] or lines
        said = telling[0] if telling else "it printed nothing"
        return DatabaseError(f"{self.tool.name} failed: {said}", remedy=remedy)


def find_tool(
    *names: str, environment: Mapping[str, str] | None = None, secrets: Sequence[str] = ()
) -> Tool | None:
    """Return the first of the programs that is on the PATH and reports its version."""
    for name in names:
        path = shutil.which(name)
        if path is None:
            continue
        said = subprocess.run(  # noqa: S603 - as above
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=_environment(environment or {}),
        )
        if said.returncode == 0:
            version = said.stdout.decode(errors="replace").strip()
            return Tool(path, version, environment or {}, secrets)
    return None


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


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(CHUNK).decode(errors="replace")
