"""A real FAT32 in a file, made by mkfs.vfat and filled by mtools, as cards are; and looks at it by fsck.vfat."""

import subprocess
from pathlib import Path

START = 1 << 20  # the partition lies behind something, as on a card


class FatImage:
    """`path` is a whole card with the file system at `START`; `folder` is what a mount of it would show."""

    def __init__(self, folder: Path, mib: int = 35) -> None:
        self.path, self.folder = folder / "card.img", folder / "boot"
        self.folder.mkdir(parents=True)
        with self.path.open("wb") as file:
            file.truncate(START + (mib << 20))
        self._run("mkfs.vfat", "-F", "32", "-s", "1", "-n", "SKYBOOT", f"--offset={START // 512}", str(self.path))

    def put(self, name: str, data: bytes) -> None:
        """As any computer would: mcopy over what is there."""
        source = self.path.with_name("source")
        source.write_bytes(data)
        self._run("mcopy", "-o", "-i", self.place, str(source), f"::{name}")
        (self.folder / name).write_bytes(data)

    def remove(self, name: str) -> None:
        self._run("mdel", "-i", self.place, f"::{name}")
        (self.folder / name).unlink()

    def get(self, name: str) -> bytes:
        return subprocess.run(["mtype", "-i", self.place, f"::{name}"], capture_output=True, check=True).stdout

    def remount(self) -> None:
        """What a mount would show after a reboot."""
        for path in self.folder.iterdir():
            path.write_bytes(self.get(path.name))

    def check(self) -> str:
        """What fsck.vfat says of the file system, changing nothing; it must end with 0."""
        alone = self.path.with_name("alone.img")
        alone.write_bytes(self.path.read_bytes()[START:])
        done = subprocess.run(["fsck.vfat", "-n", "-v", str(alone)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def place(self) -> str:
        return f"{self.path}@@{START}"

    def _run(self, *words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)


def changed(before: bytes, after: bytes) -> list[int]:
    """Offsets of bytes that differ."""
    assert len(before) == len(after)
    blocks = [at for at in range(0, len(before), 4096) if before[at : at + 4096] != after[at : at + 4096]]
    return [at for block in blocks for at in range(block, min(block + 4096, len(before))) if before[at] != after[at]]
