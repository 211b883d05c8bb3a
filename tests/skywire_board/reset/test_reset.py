"""The decision is one byte of one sector; what comes of it is done by the card's own mount-data on a loop device."""

import contextlib
import fcntl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from skywire_board.errors import ResetError
from skywire_board.reset.card import mark_new
from tests.house.tree import ROOT
from tests.skywire_board.throwaway import Throwaway, can_have_a_root

TABLE = """label: dos
start=2048, size=4096, type=c, bootable
start=6144, size=2048, type=83
start=8192, size=2048, type=83
start=10240, size=2048, type=da
"""
LOOP_CTL_REMOVE = 0x4C81  # linux/loop.h
SECRET = b"the seed of this board, which nobody shall find again\n" * 40
NEEDS_LOOP = pytest.mark.skipif(not can_have_a_root(), reason="needs root, loop devices and a mount namespace")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A new card of 96 MB: partitions, nothing in them."""
    path = tmp_path / "card.img"
    with path.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["sfdisk", "--quiet", path], input=TABLE.encode(), check=True, timeout=60)
    return path


def kind(card: Path) -> str:
    done = subprocess.run(["sfdisk", "--part-type", card, "4"], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_one_byte_of_the_card_changes(card: Path) -> None:
    subprocess.run(["sfdisk", "--quiet", "--part-type", card, "4", "83"], check=True, timeout=60)
    before = card.read_bytes()
    assert mark_new(card)
    after = card.read_bytes()
    assert [at for at in range(2048) if before[at] != after[at]] == [446 + 3 * 16 + 4]
    assert before[2048:] == after[2048:]
    assert kind(card) == "da"
    assert not mark_new(card), "a second time changes nothing"


def test_what_is_no_card_is_left_alone(tmp_path: Path, card: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(bytes(4096))
    with pytest.raises(ResetError, match="no partition table"):
        mark_new(empty)
    assert empty.read_bytes() == bytes(4096)
    subprocess.run(["sfdisk", "--quiet", "--delete", card, "4"], check=True, timeout=60)
    with pytest.raises(ResetError, match="no partition 4"):
        mark_new(card)
    with pytest.raises(ResetError, match="cannot write the partition table"):
        mark_new(tmp_path / "none")


def drop_nothing(device: str) -> None:
    """The card becomes one that knows no discard; the device stays so after it is detached, until `forget`."""
    Path(f"/sys/block/{Path(device).name}/queue/discard_max_bytes").write_text("0")


def forget(device: str) -> None:
    """Removes a free loop device; the kernel makes it anew when one is wanted."""
    with Path("/dev/loop-control").open("rb") as control, contextlib.suppress(OSError):
        fcntl.ioctl(control, LOOP_CTL_REMOVE, int(device.removeprefix("/dev/loop")))


@pytest.fixture
def loop(card: Path) -> Iterator[str]:
    """The card as a disk with partitions."""
    made = subprocess.run(
        ["losetup", "--find", "--show", card], capture_output=True, text=True, check=False, timeout=60
    )
    device = made.stdout.strip()
    if made.returncode:
        pytest.skip(f"needs loop devices: {made.stderr}")
    try:
        added = subprocess.run(["partx", "--add", device], capture_output=True, text=True, check=False, timeout=60)
        if not Path(f"{device}p4").exists():
            pytest.skip(f"needs loop devices with partitions: {added.stderr}")
        yield device
    finally:
        subprocess.run(["partx", "--delete", device], capture_output=True, check=False, timeout=60)
        subprocess.run(["losetup", "--detach", device], check=True, timeout=60)
        forget(device)


class Boots:
    """Boots of one card, as far as the initramfs goes: each in a root of its own, with the card's mount-data."""

    def __init__(self, loop: str, folder: Path) -> None:
        self._loop, self._folder, self._number = loop, folder, 0
        self.log = ""

    def boot(self, then: str, *, data_must_be_there: bool = True) -> str:
        """What a shell line said that ran after the data partition was mounted; `log` is for the kernel's."""
        self._number += 1
        folder = self._folder / f"boot{self._number}"
        folder.mkdir()
        with Throwaway(folder) as root:
            for name in ("data", "boot/firmware", "run/skywire"):
                (root.root / name).mkdir(parents=True, exist_ok=True)
            (root.root / "usr/lib/skywire/writable").write_text("d 0700 root:root /etc/skywire-kept\n")
            script = (ROOT / "image/initramfs/mount-data").read_text()
            (root.root / "mount-data").write_text(script.replace(">/dev/kmsg", ">>/run/skywire/kmsg"))
            script = f'sh /mount-data "$1" "$1"p4; code=$?; {then}; umount -R /etc/skywire-kept /data; exit $code'
            done = root.run("sh", "-c", script, "sh", self._loop)
            fault, log = root.root / "run/skywire/data-fault", root.root / "run/skywire/kmsg"
            self.log = log.read_text() if log.exists() else ""
            assert done.returncode == 0 or not data_must_be_there, fault.read_text() + done.stderr
        return done.stdout


@NEEDS_LOOP
def test_after_the_reset_nothing_of_it_is_on_the_card(card: Path, loop: str, tmp_path: Path) -> None:
    boots = Boots(loop, tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    keep = f"mkdir /data/identity; cp {tmp_path}/secret /data/identity/seed; cp {tmp_path}/secret /data/psk; sync; "
    machine = boots.boot(f"{keep} cat /data/etc/machine-id")
    assert kind(card) == "83"
    assert SECRET in card.read_bytes()
    assert boots.boot("cat /data/etc/machine-id; ls /data/identity") == f"{machine}seed\n", "kept without a reset"
    slots = card.read_bytes()[6144 * 512 : 10240 * 512]
    mark_new(Path(loop))
    after = boots.boot("cat /data/etc/machine-id; ls /data")
    assert kind(card) == "83"
    assert machine not in after
    assert after.split()[1:] == ["etc", "lost+found"], "a new file system"
    assert SECRET[:54] not in card.read_bytes(), "overwritten, not only forgotten"
    assert card.read_bytes()[6144 * 512 : 10240 * 512] == slots


@NEEDS_LOOP
def test_a_reset_that_was_cut_goes_on_at_the_next_boot(card: Path, loop: str, tmp_path: Path) -> None:
    """Cut where the old file system is half overwritten, and where the new one is made and not yet marked."""
    boots = Boots(loop, tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    boots.boot(f"cp {tmp_path}/secret /data/one; cp {tmp_path}/secret /data/two; sync")
    mark_new(Path(loop))
    subprocess.run(["mount", "-t", "ext4", f"{loop}p4", tmp_path / "boot1"], check=True, timeout=60)
    subprocess.run(["shred", "-n", "0", "-z", tmp_path / "boot1/one"], check=True, timeout=60)
    subprocess.run(["umount", tmp_path / "boot1"], check=True, timeout=60)
    assert kind(card) == "da"
    assert SECRET in card.read_bytes()
    assert boots.boot("ls /data").split() == ["etc", "lost+found"]
    assert SECRET[:54] not in card.read_bytes()
    mark_new(Path(loop))  # as if the cut had come just before the new file system was marked
    assert boots.boot("ls /data").split() == ["etc", "lost+found"]
    assert kind(card) == "83"


@NEEDS_LOOP
@pytest.mark.parametrize("drops", [True, False], ids=["discards", "discards nothing"])
def test_what_a_card_keeps_is_told(card: Path, loop: str, tmp_path: Path, *, drops: bool) -> None:
    """What was deleted before the reset is no file that could be overwritten."""
    boots = Boots(loop, tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    boots.boot(f"cp {tmp_path}/secret /data/old; sync; rm /data/old; cp {tmp_path}/secret /data/new; sync")
    if not drops:
        drop_nothing(loop)
    mark_new(Path(loop))
    assert boots.boot("ls /data").split() == ["etc", "lost+found"]
    stays = "the card drops nothing: files over 128 MB and what was deleted before stay"
    assert (SECRET[:54] not in card.read_bytes(), stays not in boots.log) == (drops, drops)


@NEEDS_LOOP
@pytest.mark.parametrize("drops", [True, False], ids=["discards", "discards nothing"])
def test_what_cannot_be_mounted_is_dropped_or_overwritten(
    card: Path, loop: str, tmp_path: Path, *, drops: bool
) -> None:
    boots = Boots(loop, tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    boots.boot(f"mkdir /data/identity; cp {tmp_path}/secret /data/identity/seed; sync")
    with Path(f"{loop}p4").open("r+b") as part:
        part.seek(1024 + 96)  # the features that who mounts it has to know
        part.write(b"\xff" * 4)
    assert SECRET in card.read_bytes()
    if not drops:
        drop_nothing(loop)
    slots = card.read_bytes()[6144 * 512 : 10240 * 512]
    mark_new(Path(loop))
    assert boots.boot("ls /data").split() == ["etc", "lost+found"]
    assert SECRET[:54] not in card.read_bytes()
    assert card.read_bytes()[6144 * 512 : 10240 * 512] == slots
