"""Numbers of users and groups: the same for ever, whichever packages came in which order."""

import os
from pathlib import Path

import pytest

from image.errors import ImageError, RecipeError
from image.steps.accounts import Accounts, pin_accounts, read_accounts

ACCOUNTS = Accounts(users={"clock": 990, "admin": 986}, groups={"clock": 990, "admin": 986, "board": 980})


def make_root(root: Path, order: tuple[str, ...]) -> Path:
    """A root whose users and groups got the numbers 999, 998, … in this order, with a file of each."""
    (root / "etc").mkdir(parents=True)
    users, groups = (
        ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534::/:/bin/false"],
        ["root:x:0:", "users:x:100:"],
    )
    for name, number in zip(order, range(999, 900, -1), strict=False):
        groups.append(f"{name}:x:{number}:")
        if name != "board":
            users.append(f"{name}:x:{number}:{number}::/:/bin/false")
        file = root / name
        file.write_text("")
        os.chown(file, number, number)
        file.chmod(0o4750)
    (root / "etc/passwd").write_text("".join(f"{line}\n" for line in users))
    (root / "etc/group").write_text("".join(f"{line}\n" for line in groups))
    return root


def numbers(path: Path) -> dict[str, str]:
    return {row[0]: row[2] for row in (line.split(":") for line in path.read_text().splitlines())}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize("order", [("clock", "admin", "board"), ("board", "admin", "clock"), ("admin", "clock")])
def test_any_order_of_installation_gives_the_same_numbers(tmp_path: Path, order: tuple[str, ...]) -> None:
    root = make_root(tmp_path / "root", order)
    pin_accounts(root, ACCOUNTS)
    users, groups = numbers(root / "etc/passwd"), numbers(root / "etc/group")
    assert users == {"root": "0", "nobody": "65534", "clock": "990", "admin": "986"}
    assert groups == {"root": "0", "users": "100"} | {name: str(ACCOUNTS.groups[name]) for name in order}
    for name in order:
        stat = (root / name).stat()
        assert (stat.st_gid, stat.st_mode & 0o7777) == (ACCOUNTS.groups[name], 0o4750)
        if name != "board":
            assert stat.st_uid == ACCOUNTS.users[name]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_user_without_a_number_stops_the_build(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", ("clock", "stranger"))
    with pytest.raises(ImageError, match=r"user 'stranger' has no number for ever \(add it to image/accounts.yaml"):
        pin_accounts(root, ACCOUNTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("users: {a: 980, b: 980}\ngroups: {}", "'a' and 'b' have the same number 980"),
        ("users: {a: 42}\ngroups: {}", "42 of 'a' is not between 100 and 65534"),
        ("users: {}", "missing required field `groups`"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "accounts.yaml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_accounts(tmp_path / "accounts.yaml")


def test_no_number_is_given_again() -> None:
    """What boards out there have: a name may be added, never changed or taken away."""
    accounts = read_accounts()
    first = {"systemd-timesync": 990, "viscript": 988, "admin": 986, "viscriptd": 985, "skywire": 984}
    services = {"skywire-vpn": 983, "skywire-socks": 982, "skywire-messenger": 981}
    assert (first | services).items() <= accounts.users.items()
    assert (first | services | {"skywire-messages": 987, "skywire-board": 980}).items() <= accounts.groups.items()
