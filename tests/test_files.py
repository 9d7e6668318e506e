"""Output files: whole, or not there at all; and input files: decoded, or refused by name."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.formats import leftovers
from cardlink_sql.formats.files import write_atomically
from cardlink_sql.formats.text import decode, open_to_read, read_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_appears_whole_at_the_end_of_the_block(folder: Path) -> None:
    target = folder / "export.json"
    with write_atomically(target) as file:
        file.write("größer\r\n")
        assert not target.exists()
    assert target.read_bytes() == "größer\r\n".encode()
    assert list(folder.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(folder: Path, error: type[BaseException]) -> None:
    target = folder / "export.json"
    target.write_text("before")
    with pytest.raises(error), write_atomically(target, binary=True) as file:
        file.write(b"half")
        raise error
    assert target.read_text() == "before"
    assert list(folder.iterdir()) == [target]


def test_its_name_is_a_file_in_the_same_folder_meanwhile(folder: Path) -> None:
    with write_atomically(folder / "copy.db", binary=True) as file:
        part = Path(file.name)
        assert part.parent == folder
        part.write_bytes(b"written by path")
    assert (folder / "copy.db").read_bytes() == b"written by path"


def test_the_rights_of_a_new_file_of_a_replaced_one_and_of_a_private_one(folder: Path) -> None:
    new, replaced, private = folder / "new", folder / "replaced", folder / "private"
    for path in (replaced, private):
        path.touch()
        path.chmod(0o664)
    before = os.umask(0o027)
    try:
        with write_atomically(new):
            pass
        with write_atomically(replaced):
            pass
        with write_atomically(private, private=True) as file:
            assert rights(Path(file.name)) == 0o600
    finally:
        os.umask(before)
    assert (rights(new), rights(replaced), rights(private)) == (0o640, 0o664, 0o600)


WRITER = """
import sys
from pathlib import Path
from cardlink_sql.formats import leftovers
from cardlink_sql.formats.files import write_atomically
from cardlink_sql.formats.leftovers import temporary_folder
folder = Path(sys.argv[1])
with write_atomically(folder / "out"), temporary_folder(folder):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_goes_with_the_next_write_and_not_before(folder: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"open\n"
        leftovers.clear(folder)
        assert len(list(folder.iterdir())) == 2
        writer.kill()
    (folder / ".cardlink-notes").touch()
    with write_atomically(folder / "next"):
        pass
    assert {file.name for file in folder.iterdir()} == {".cardlink-notes", "next"}


def test_a_link_stays_a_link(folder: Path) -> None:
    target, transaction = folder / "target", folder / "transaction"
    target.write_text("before")
    transaction.symlink_to("target")
    with write_atomically(transaction) as file:
        file.write("after")
    assert transaction.is_symlink()
    assert target.read_text() == "after"


def test_a_pipe_is_written_to_directly(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    with write_atomically(pipe) as file:
        file.write("through")
    reader.join()
    assert read == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["missing/export.json", ".", f"{'x' * 300}.json"])
def test_a_file_that_cannot_be_written_is_named(folder: Path, name: str) -> None:
    with (
        pytest.raises(DatabaseError, match="cannot be written") as refused,
        write_atomically(folder / name),
    ):
        pass
    assert refused.value.where == str(folder / name)
    assert list(folder.iterdir()) == []


def test_a_full_disk_names_the_file_and_another_files_error_stays_as_it_is(folder: Path) -> None:
    target = folder / "export.json"
    with pytest.raises(DatabaseError, match="No space left"), write_atomically(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError), write_atomically(target):
        (folder / "input.json").read_text()
    with pytest.raises(BrokenPipeError), write_atomically(target):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    assert list(folder.iterdir()) == []


def test_a_file_is_read_as_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    assert decode("größer".encode(), "f") == decode("\ufeffgrößer".encode(), "f") == "größer"
    for is_line, where in ((False, "f:2"), (True, "f")):
        with pytest.raises(ValidationError) as refused:
            decode(b"one\n\xe4", "f", is_line=is_line)
        assert str(refused.value) == f"{where}: not UTF-8 (save it as UTF-8)"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, Path("a\0b")):
        with pytest.raises(ValidationError, match="the file cannot be read"):
            open_to_read(path)
        with pytest.raises(ValidationError, match="the file cannot be read"):
            read_bytes(path, at_most=9)
    file = tmp_path / "ten"
    file.write_bytes(b"x" * 10)
    assert read_bytes(file, at_most=10) == b"x" * 10
    with pytest.raises(ValidationError, match="longer than 9 bytes"):
        read_bytes(file, at_most=9)
