"""The door to a card's boot partition, by mtools at its offset on the disk: nothing is mounted.

What holds secrets goes by standard input, never by a file or an argument. What was written is read back.
"""

import tempfile
from pathlib import Path

from image.errors import CommandError, FlashError
from image.recipe import SECTOR, Disk
from image.run import Runner

PERSONAL = (
    "authorized_keys",
    "skywire.yaml",
    "skywire-error.txt",
    "user-data",
    "network-config",
    "meta-data",
)
FIRMWARE_SETTINGS, OWN_PART = "config.txt", "[all]\n"
MBR_ID = slice(440, 444)


class BootPartition:
    """Of a card, or of an image file."""

    def __init__(self, run: Runner, device: Path, disk: Disk) -> None:
        self._run, self._device, self._disk = run, device, disk
        self._place = f"{device}@@{disk.fat_lba * SECTOR}"

    def check(self) -> None:
        """FlashError unless the disk is a card of ours."""
        with self._device.open("rb") as file:
            head = file.read(SECTOR)
        if head[MBR_ID] != self._disk.id.to_bytes(4, "little"):
            raise FlashError(f"'{self._device}' is no Skywire Board card: its disk id is another (flash it first)")
        self.read("boot.scr")

    def read(self, name: str) -> bytes:
        try:
            return self._run("mcopy", "-n", "-i", self._place, f"::{name}", "-")
        except CommandError as error:
            raise FlashError(f"cannot read '{name}' on the boot partition of '{self._device}': {error}") from None

    def write(self, name: str, data: bytes) -> None:
        self._run("mcopy", "-o", "-i", self._place, "-", f"::{name}", stdin=data)
        if self.read(name) != data:
            raise FlashError(f"'{name}' was not read back as it was written to '{self._device}' (try another card)")

    def refresh(self, image: Path) -> list[str]:
        """Brings firmware, U-Boot and boot script of `image` onto the card; personal files stay. The files written."""
        new = BootPartition(self._run, image, self._disk)
        with tempfile.TemporaryDirectory(prefix="skywire-boot-") as folder:
            self._run("mcopy", "-s", "-n", "-m", "-i", new._place, "::", folder)
            files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            names = [str(path.relative_to(folder)) for path in files]
            contents = dict(zip(names, (path.read_bytes() for path in files), strict=True))
        contents[FIRMWARE_SETTINGS] = keep_own(contents[FIRMWARE_SETTINGS], self._read_if_there(FIRMWARE_SETTINGS))
        written = []
        for name, data in contents.items():
            held = self._read_if_there(name)
            if held == data or (name in PERSONAL and held is not None):
                continue
            if "/" in name:
                self._make_folder(name.rpartition("/")[0])
            self.write(name, data)
            written.append(name)
        return written

    def _read_if_there(self, name: str) -> bytes | None:
        try:
            return self.read(name)
        except FlashError:
            return None

    def _make_folder(self, name: str) -> None:
        try:
            self._run("mdir", "-i", self._place, f"::{name}")
        except CommandError:
            self._run("mmd", "-i", self._place, f"::{name}")


def keep_own(new: bytes, old: bytes | None) -> bytes:
    """The new config.txt, with what its owner wrote behind the last line `[all]` of the old one."""
    if old is None:
        return new
    _, found, own = old.replace(b"\r\n", b"\n").rpartition(OWN_PART.encode())
    return new.rstrip(b"\n") + b"\n" + own if found and own.strip() else new
