"""Users and groups of the root: each gets the number that accounts.yaml says, whoever made it in whichever order.

Debian's packages and sysusers hand numbers out as they come, but the data partition of a board outlives the slot, and
its files belong to numbers. Debian's own static accounts (up to 100, and nobody) have theirs for ever.
"""

import os
from pathlib import Path

import msgspec
import yaml

from image.errors import ImageError, RecipeError
from image.recipe import HERE

LAST_STATIC, NOBODY = 100, 65534


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name → number of each user and group that Debian does not number itself."""

    users: dict[str, int]
    groups: dict[str, int]


def read_accounts(path: Path = HERE / "accounts.yaml") -> Accounts:
    """The list in `path`; RecipeError where two names share a number."""
    try:
        accounts = msgspec.convert(yaml.safe_load(path.read_text()), Accounts)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise RecipeError(f"accounts '{path}': {error} (correct the file)") from error
    for numbers in (accounts.users, accounts.groups):
        owners: dict[int, str] = {}
        for name, number in numbers.items():
            if not LAST_STATIC < number < NOBODY:
                raise RecipeError(f"accounts '{path}': {number} of '{name}' is not between 100 and 65534")
            if number in owners:
                raise RecipeError(f"accounts '{path}': '{owners[number]}' and '{name}' have the same number {number}")
            owners[number] = name
    return accounts


def pin_accounts(root: Path, accounts: Accounts) -> None:
    """Renumbers users and groups in the root's lists and the files that are theirs."""
    passwd, group = root / "etc/passwd", root / "etc/group"
    users, groups = read_rows(passwd), read_rows(group)
    new_uids = _moves(users, accounts.users, "user")
    new_gids = _moves(groups, accounts.groups, "group")
    for row in users:
        row[2] = str(new_uids.get(int(row[2]), int(row[2])))
        row[3] = str(new_gids.get(int(row[3]), int(row[3])))
    for row in groups:
        row[2] = str(new_gids.get(int(row[2]), int(row[2])))
    for path, rows in ((passwd, users), (group, groups)):
        path.write_text("".join(":".join(row) + "\n" for row in rows))
    _give(root, new_uids, new_gids)


def read_rows(path: Path) -> list[list[str]]:
    """The lines of passwd(5), group(5), shadow(5), cut at the colons."""
    return [line.split(":") for line in path.read_text().splitlines()]


def _moves(rows: list[list[str]], wanted: dict[str, int], kind: str) -> dict[int, int]:
    """Present number → wanted one, of those that differ."""
    moves = {}
    for name, _, text, *_ in rows:
        number = int(text)
        if not LAST_STATIC < number < NOBODY:
            continue
        if name not in wanted:
            raise ImageError(
                f"{kind} '{name}' has no number for ever (add it to image/accounts.yaml, with one that was never given)"
            )
        if wanted[name] != number:
            moves[number] = wanted[name]
    return moves


def _give(root: Path, uids: dict[int, int], gids: dict[int, int]) -> None:
    if not uids and not gids:
        return
    for folder, folders, files in os.walk(root):
        for path in (Path(folder, name) for name in (*folders, *files)):
            stat = path.lstat()
            if stat.st_uid in uids or stat.st_gid in gids:
                os.lchown(path, uids.get(stat.st_uid, -1), gids.get(stat.st_gid, -1))
                if not path.is_symlink():
                    path.chmod(stat.st_mode & 0o7777)  # a change of owner takes setuid away
