"""What is wrong with a file: every fault with its place, the first hundred of them kept."""

from typing import Final

from cardlink_sql.errors import ValidationError

SHOWN: Final = 100
_LONGEST: Final = 500


class FaultyFileError(ValidationError):
    """A file that is not imported, for its faults.

    Args:
        faults: the first hundred, each with its place.
        count: how many there are.
        path: the file.
    """

    def __init__(self, faults: list[str], count: int, path: str) -> None:
        self.summary = f"{count:,} fault{'s' if count > 1 else ''}, nothing was imported"
        more = [f"and {count - len(faults):,} more"] if count > len(faults) else []
        self.lines = [*faults, *more]
        super().__init__("\n".join([self.summary, *self.lines]), path)


class Faults:
    """Collects faults.

    Args:
        path: how errors name the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._listed: list[str] = []
        self.count = 0

    def add(self, where: str, what: str) -> None:
        """Note a fault.

        Args:
            where: the place, such as ``devices[3].device_type``.
            what: what is wrong there.
        """
        self.count += 1
        if self.count <= SHOWN:
            self._listed.append(_one_line(f"{where}: {what}"))

    def refuse(self) -> None:
        """Refuse the file, if there is a fault.

        Raises:
            FaultyFileError: there is.
        """
        if self.count:
            raise FaultyFileError(self._listed, self.count, self._path)


def _one_line(text: str) -> str:
    """A fault may quote the file: nothing of it may look like a line of its own, or drive a
    terminal."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return printable if len(printable) <= _LONGEST else f"{printable[:_LONGEST]}…"
