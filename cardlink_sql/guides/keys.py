r"""# Keys

There are two kinds. A card's PSK authenticates it to the admin server. An encryption key, in
`CARDLINK_ENCRYPTION_KEY`, is what PSKs are encrypted with before they are stored (Fernet:
AES-128-CBC and HMAC-SHA256). The database and its backups hold encrypted PSKs only; the
encryption key stays outside of them. Without it, the PSKs are lost.

```console
$ cardlink-db init
$ export CARDLINK_ENCRYPTION_KEY=$(cardlink-db keys generate)
```

## The admin server's keys

`import-keys` takes the admin server's YAML:

```yaml
keys:
  card_0031: 00112233445566778899AABBCCDDEEFF
  card_0032: 0F0E0D0C0B0A09080706050403020100
```

A key goes to the card that claims its PSK identity. The file has no ICCIDs, so that it cannot
make cards: they are created first, by their profile.

```python
from pathlib import Path

from cardlink_sql import CardProfile, DatabaseManager, UnitOfWork

manager = DatabaseManager()
with UnitOfWork(manager) as uow:
    uow.cards.create(CardProfile("89882110000000000312", psk_identity="card_0031"))
    uow.cards.create(CardProfile("89882110000000000320", psk_identity="card_0032"))
    uow.commit()

Path("keys.yaml").write_text('''\
keys:
  card_0031: 00112233445566778899AABBCCDDEEFF
  card_0032: 0F0E0D0C0B0A09080706050403020100
''')
```

```console
$ cardlink-db import-keys keys.yaml --dry-run
2 updated, 0 unchanged by a dry run: nothing was written.
$ cardlink-db import-keys keys.yaml
2 updated, 0 unchanged.
$ cardlink-db import-keys keys.yaml
0 updated, 2 unchanged.
```

All of the file is imported or nothing. A key has 1 to 64 octets of hex, with or without quotes:
the file is read as text throughout, so that YAML takes no hex for a number. Whatever is wrong is
named at once, by its line and path (`line 3: keys.card_0032: the PSK is not hex`), and no message
shows a key. A file has a MiB at most, some 20,000 keys of 16 octets. Delete it afterwards: it is
in plain text.

## Which key a PSK is under

`CARDLINK_ENCRYPTION_KEY` may name several keys, separated by commas: the first encrypts, all
decrypt. `keys check` counts the PSKs under each, by its position. It changes nothing, and its
exit code is 1 where a card's PSK is opened by none; it names those cards.

```console
$ cardlink-db keys check
1, which encrypts 2
```

With `--json`: `cards` that have a PSK, `keys` with `position` and `cards` each, and `unopened`,
the ICCIDs of the cards whose PSK no key opens.

## Rotation

Put a new key in front, wherever the layer runs; rotate; and take the old key out when
`keys check` finds nothing under it:

```console
$ export OLD_KEY=$CARDLINK_ENCRYPTION_KEY
$ export NEW_KEY=$(cardlink-db keys generate)
$ export CARDLINK_ENCRYPTION_KEY=$NEW_KEY,$OLD_KEY
$ cardlink-db keys check
1, which encrypts 0
2 2
$ cardlink-db keys rotate
2 rotated, 0 already under the first key, 0 that no key opens.
$ export CARDLINK_ENCRYPTION_KEY=$NEW_KEY
$ cardlink-db keys check
1, which encrypts 2
```

- It runs beside the servers. A batch is a transaction (`--batch`, 500 PSKs unless told
  otherwise), and what is stored is replaced only where it still is what was read: a PSK that
  another process changes meanwhile is looked at again, and never overwritten.
- Interrupted or killed, it has done whole batches. Run again, it leaves alone what is under the
  first key already.
- A card that no key opens stays as it is and is named; the others are done, and the exit code is
  1. Its PSK can be had again by `import-keys` or `update_psk`.
- `updated_at` of a card stays, and no event tells of it: the card did not change.
- Backups from before hold PSKs under the old key. Keep that key as long as you keep them.

It costs an UPDATE a card. Memory does not grow with the cards, but for the ICCIDs of those that no
key opens.

From Python, with the same results:

```python
from cardlink_sql.operations.key_rotation import check_keys, rotate_keys

assert rotate_keys(manager).already == 2
assert check_keys(manager).by_key == [2]
manager.close()
```
"""
