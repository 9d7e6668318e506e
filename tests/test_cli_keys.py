"""``cardlink-db keys`` and ``import-keys`` as an operator uses them."""

import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from cardlink_sql.manager import DatabaseManager
from tests.conftest import Run, dump, iccid, sqlite
from tests.test_keys import LOST, NEW, OLD, claim, opened, psk, store

dialect = sqlite


@pytest.fixture
def url(manager: DatabaseManager) -> str:
    """A database with two PSKs under an old key, and one under a new one."""
    store(manager, OLD, range(1, 3))
    store(manager, NEW, range(3, 4))
    return manager.config.url


def test_keys_generate_makes_a_key_that_works(run: Run) -> None:
    first, second = run("keys", "generate").stdout, run("keys", "generate").stdout
    assert first != second
    Fernet(first.strip())
    Fernet(json.loads(run("keys", "generate", "--json").stdout)["key"])


def test_check_counts_by_key(run: Run, url: str, manager: DatabaseManager) -> None:
    before = dump(manager)
    both = {"CARDLINK_ENCRYPTION_KEY": f"{NEW},{OLD}"}
    done = run("keys", "check", "-d", url, **both)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["1,", "which", "encrypts", "1"] in lines
    assert ["2", "2"] in lines
    report = json.loads(run("keys", "check", "--json", "-d", url, **both).stdout)
    assert report == {
        "cards": 3,
        "keys": [{"position": 1, "cards": 1}, {"position": 2, "cards": 2}],
        "unopened": [],
    }
    assert dump(manager) == before


def test_check_names_the_cards_that_no_key_opens(run: Run, manager: DatabaseManager) -> None:
    store(manager, LOST, range(1, 26))
    url = manager.config.url
    done = run("keys", "check", "-d", url, CARDLINK_ENCRYPTION_KEY=NEW)
    assert done.returncode == 1
    assert ["none", "of", "them", "25"] in [line.split() for line in done.stdout.splitlines()]
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: CARDLINK_ENCRYPTION_KEY: no key opens the PSKs of 25 cards: ")
    assert error.endswith(f", {iccid(20)} and 5 more")
    assert hint.startswith("hint: add the key")
    listed = run("keys", "check", "--json", "-d", url, CARDLINK_ENCRYPTION_KEY=NEW)
    assert listed.returncode == 1
    assert json.loads(listed.stdout)["unopened"] == [iccid(number) for number in range(1, 26)]


def test_a_rotation_from_the_old_key_to_the_new_one(
    run: Run, url: str, manager: DatabaseManager
) -> None:
    both = {"CARDLINK_ENCRYPTION_KEY": f"{NEW},{OLD}"}
    done = run("keys", "rotate", "--batch", "2", "-d", url, **both)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 rotated, 1 already under the first key, 0 that no key opens.\n"
    assert opened(manager, NEW) == {iccid(number): psk(number) for number in range(1, 4)}
    assert run("keys", "check", "-d", url, CARDLINK_ENCRYPTION_KEY=NEW).returncode == 0
    again = json.loads(run("keys", "rotate", "--json", "-d", url, **both).stdout)
    assert again == {"rotated": 0, "already": 3, "unopened": []}


def test_a_rotation_does_the_others_where_no_key_opens_one(
    run: Run, url: str, manager: DatabaseManager
) -> None:
    store(manager, LOST, range(4, 5))
    done = run("keys", "rotate", "-d", url, CARDLINK_ENCRYPTION_KEY=f"{NEW},{OLD}")
    assert done.returncode == 1
    assert done.stdout == "2 rotated, 1 already under the first key, 1 that no key opens.\n"
    assert f"no key opens the PSK of 1 card: {iccid(4)}" in done.stderr


def test_import_keys(run: Run, manager: DatabaseManager, tmp_path: Path) -> None:
    claim(manager, "card_1", "card_2")
    (tmp_path / "keys.yaml").write_text("keys:\n  card_1: 00112233\n  card_2: ff\n", "utf-8")
    before = dump(manager)
    command = ["import-keys", "keys.yaml", "-d", manager.config.url]
    key = {"CARDLINK_ENCRYPTION_KEY": NEW}
    tried = run(*command, "--dry-run", **key)
    assert tried.stdout == "2 updated, 0 unchanged by a dry run: nothing was written.\n"
    assert dump(manager) == before
    done = run(*command, **key)
    assert (done.returncode, done.stdout) == (0, "2 updated, 0 unchanged.\n")
    assert opened(manager, NEW) == {iccid(1): b"\x00\x11\x22\x33", iccid(2): b"\xff"}
    again = json.loads(run(*command, "--json", **key).stdout)
    known = [iccid(1), iccid(2)]
    assert again == {"updated": [], "unchanged": known, "created": [], "dry_run": False}


def test_an_entry_that_names_its_card_makes_it_once(
    run: Run, manager: DatabaseManager, tmp_path: Path
) -> None:
    url = manager.config.engine_url.render_as_string(hide_password=False)
    file = tmp_path / "keys.yaml"
    file.write_text(f"card_7: {{iccid: '{iccid(7)}', key: 00112233445566778899AABBCCDDEEFF}}\n")

    for said in ("1 created, 0 updated, 0 unchanged.\n", "0 updated, 1 unchanged.\n"):
        done = run("import-keys", str(file), "-d", url, CARDLINK_ENCRYPTION_KEY=OLD)
        assert (done.returncode, done.stdout) == (0, said), done.stderr

    card = manager.run(lambda uow: uow.cards.get_by_id(iccid(7)), read_only=True)
    assert card
    assert (card.psk_identity, card.has_psk) == ("card_7", True)
