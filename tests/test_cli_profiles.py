"""Profiles, waiting for a server, and ``-h``."""

import socket
from pathlib import Path

import pytest

from cardlink_sql import DatabaseError, DatabaseManager
from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.profiles import config_of, profile_url
from tests.conftest import Run

SECRET = "hunter2"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of profiles, which only its owner may read."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = tmp_path / "cardlink-db.toml"
    made.write_text(
        '[lab]\nurl = "sqlite:///lab.db"\n[odd]\nurl = "nope"\n[empty]\n'
        '[more]\nurl = "sqlite:///lab.db"\npool = 5\n'
        '[two]\nurl = "postgresql://db/x"\nreplica = "sqlite:///lab.db"\n'
        f'[server]\nurl = "postgresql://app:{SECRET}@127.0.0.1:1/cardlink"\n'
    )
    made.chmod(0o600)
    return made


def test_a_profile_names_the_database(run: Run, file: Path) -> None:
    assert run("--profile", "lab", "init").returncode == 0
    assert (file.parent / "lab.db").exists()
    assert run("cards", "list", CARDLINK_PROFILE="lab").stdout == "No cards.\n"
    after = run("cards", "list", "--profile", "lab", CARDLINK_PROFILE="odd")
    assert after.stdout == "No cards.\n", after.stderr
    assert (
        "sqlite:///other.db" in run("--profile", "lab", "status", "-d", "sqlite:///other.db").stdout
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope", "there is no profile 'nope'\nhint: there are: empty, lab, more, odd, server, two"),
        ("odd", "[odd] url: the URL cannot be read"),
        ("empty", "[empty]: the profile has no url\nhint: write url"),
        ("more", "[more]: there is no key 'pool' in a profile\nhint: remove it; "),
        ("two", "[two] replica: the replica is sqlite, and the database is postgresql"),
    ],
)
def test_a_wrong_profile_is_refused(run: Run, file: Path, name: str, said: str) -> None:
    refused = run("--profile", name, "status")
    assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr


def test_a_profile_may_have_a_replica(file: Path) -> None:
    file.write_text(
        '[lab]\nurl = "postgresql://db/x"\nreplica = "postgresql://app@replica/x"\n'
        f'[secret]\nurl = "postgresql://db/x"\nreplica = "postgresql://app:{SECRET}@replica/x"\n'
    )
    config = config_of(profile_url("lab"))
    assert config.url == "postgresql://db/x"
    assert config.replica.safe_url == "postgresql://app@replica/x"
    with open_manager(profile_url("lab"), read_only=True) as manager:
        assert manager.pool.replica is not None
    file.chmod(0o640)
    with pytest.raises(DatabaseError, match="others may read it") as caught:
        profile_url("secret")
    assert SECRET not in str(caught.value)


def test_a_password_is_refused_in_a_file_that_others_may_read(run: Run, file: Path) -> None:
    file.chmod(0o640)
    refused = run("--profile", "server", "cards", "list")
    assert f"hint: run: chmod 600 {file}" in refused.stderr
    assert SECRET not in refused.stderr
    assert run("--profile", "lab", "init").returncode == 0


def test_a_missing_or_broken_file_is_named(run: Run, file: Path) -> None:
    file.write_text("[lab\n")
    assert f"{file}: not TOML" in run("--profile", "lab", "status").stderr
    file.unlink()
    assert "there is no file of profiles" in run("--profile", "lab", "status").stderr


def test_waiting_ends_when_the_database_answers(run: Run, manager: DatabaseManager) -> None:
    assert run("wait", "-d", manager.config.url).stdout.endswith(" answers.\n")


def test_waiting_for_nobody_ends_in_time(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens here
        url = f"mysql://app:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/cardlink"
        refused = run("wait", "--timeout", "0", "-d", url)
    assert (refused.returncode, "no answer within 0 s" in refused.stderr) == (1, True)
    assert SECRET not in refused.stderr


def test_h_is_help_everywhere(run: Run) -> None:
    for path in ([], ["status"], ["cards"], ["cards", "list"]):
        assert run(*path, "-h").stdout == run(*path, "--help").stdout != ""
