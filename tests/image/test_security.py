"""The root that the build left, looked at as somebody would who wants to break in: setuid files, files that anybody may
write to, users and their shells, numbers. It is compared with inventory.yaml.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from image.emulator.card import find_image
from image.errors import ImageError
from image.recipe import SECTOR, read_recipe
from image.run import Runner
from image.steps.accounts import LAST_STATIC, NOBODY, read_accounts, read_rows
from tests.image.inventory import Inventory, read_inventory

pytestmark = pytest.mark.image

TREE = Path(__file__).parents[2]
BLOCK = 4096
MAGIC = b"hsqs"
LINE = re.compile(r"(\S{10}) (\d+)/(\d+) .* squashfs-root/?(.*?)(?: -> .*)?")
SHELLS = {"/bin/bash", "/bin/sh", "/bin/sync"}


@dataclass(frozen=True)
class Root:
    """A root file system in an image, read without mounting it."""

    image: Path
    folder: Path

    @cached_property
    def offset(self) -> int:
        """The squashfs begins at a 4 KiB boundary of slot A."""
        first, end = (lba * SECTOR for lba in read_recipe().disk.slot_lbas)
        with self.image.open("rb") as file:
            for place in range(first, end, BLOCK):
                file.seek(place)
                if file.read(len(MAGIC)) == MAGIC:
                    return place
        raise AssertionError(f"no squashfs in slot A of '{self.image}'")

    def text(self, name: str) -> Path:
        """One file of it, taken out."""
        target = self.folder / Path(name).name
        words = ["unsquashfs", "-offset", str(self.offset), "-cat", str(self.image), name]
        target.write_bytes(subprocess.run(words, capture_output=True, check=True, timeout=120).stdout)
        return target

    @cached_property
    def files(self) -> list[tuple[str, int, int, str]]:
        """(mode as ls writes it, user, group, name) of everything."""
        words = ["unsquashfs", "-offset", str(self.offset), "-lln", str(self.image)]
        said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout
        found = [found for line in said.splitlines() if (found := LINE.fullmatch(line))]
        return [(match[1], int(match[2]), int(match[3]), match[4]) for match in found]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    folder = tmp_path_factory.mktemp("root")
    with (folder / "log").open("w") as log:
        try:
            return Root(find_image(Runner(log, 0), TREE / "dist"), folder)
        except ImageError as error:
            pytest.fail(str(error))


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return read_inventory()


def test_the_whole_root_was_read(root: Root) -> None:
    assert len(root.files) > 3000
    assert {"usr/bin/sudo", "usr/bin/nats-server", "etc/passwd"} <= {name for *_, name in root.files}


def test_nothing_gives_more_rights_but_what_is_listed(root: Root, inventory: Inventory) -> None:
    users = {int(row[2]): row[0] for row in read_rows(root.text("etc/passwd"))}
    groups = {int(row[2]): row[0] for row in read_rows(root.text("etc/group"))}
    found = [
        f"{octal(mode)} {users[user]} {groups[group]} {name}"
        for mode, user, group, name in root.files
        if mode[0] == "-" and set(mode) & set("sS")
    ]
    assert found == inventory.setuid, "see `setuid` in image/recipe.yaml, then tests/image/inventory.yaml"


def octal(mode: str) -> str:
    """Of ls's ten letters."""
    bits = sum(1 << (8 - place) for place, letter in enumerate(mode[1:]) if letter not in "-ST")
    return f"{((mode[3] in 'sS') * 4 + (mode[6] in 'sS') * 2 + (mode[9] in 'tT')) * 0o1000 + bits:04o}"


def test_a_mode_is_read() -> None:
    assert [octal(mode) for mode in ("-rwsr-x---", "-rwxr-sr-x", "drwxrwxrwt", "-rwSr--r-T")] == [
        "4750", "2755", "1777", "5644",
    ]  # fmt: skip


def test_nobody_writes_to_what_is_not_his(root: Root, inventory: Inventory) -> None:
    found = [name for mode, _, _, name in root.files if mode[0] in "-d" and mode[8] == "w"]
    assert found == inventory.world_writable
    owned = {name for mode, user, _, name in root.files if user != 0 and mode[0] == "-"}
    assert not owned, "files of the root belong to root"


def test_nobody_has_a_password_and_few_have_a_shell(root: Root, inventory: Inventory) -> None:
    shells = {row[0]: row[6] for row in read_rows(root.text("etc/passwd")) if row[6] in SHELLS}
    others = {row[6] for row in read_rows(root.text("etc/passwd"))} - SHELLS
    assert shells == inventory.shells
    assert others <= {"/usr/sbin/nologin", "/bin/false"}
    assert {row[1] for row in read_rows(root.text("etc/shadow"))} == {"*"}


def test_users_and_groups_have_their_numbers(root: Root, inventory: Inventory) -> None:
    accounts = read_accounts()
    for name, listed in (("etc/passwd", accounts.users), ("etc/group", accounts.groups)):
        found = {row[0]: int(row[2]) for row in read_rows(root.text(name))}
        given = {who: number for who, number in found.items() if LAST_STATIC < number < NOBODY}
        assert given.items() <= listed.items(), f"{name} differs from image/accounts.yaml"
        assert len(given) > 10
    rows = read_rows(root.text("etc/group"))
    members = {row[0]: sorted(row[3].split(",")) for row in rows if row[3]}
    assert members == inventory.members


def test_sudo_is_for_who_has_a_key(root: Root) -> None:
    """`admin` alone: the group sudo, which Debian's own rule names, is empty."""
    rules = [line for line in root.text("etc/sudoers.d/admin").read_text().splitlines() if line]
    assert rules == ["admin ALL=(ALL:ALL) NOPASSWD: ALL"]
    assert [name for *_, name in root.files if name.startswith("etc/sudoers.d/")] == [
        "etc/sudoers.d/README", "etc/sudoers.d/admin",
    ]  # fmt: skip
    (sudo,) = [row for row in read_rows(root.text("etc/group")) if row[0] == "sudo"]
    assert sudo[3] == ""
