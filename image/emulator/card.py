"""The throw-away card: a copy-on-write overlay over the image, bigger than it, with an SSH key on its boot partition.

The image itself is never written. The overlay's changes to the FAT are made with mtools on a copy of the partition and
carried over block by block, so nothing is mounted and no root is needed.
"""

from pathlib import Path

from image.cache import cached, default_cache
from image.errors import ImageError
from image.recipe import SECTOR, Disk
from image.run import Runner

BLOCK = 4096
CARD_BYTES = 4 << 30  # QEMU's SD cards have sizes that are powers of two


def find_image(run: Runner, dist: Path, cache: Path | None = None) -> Path:
    """The image that the build left in `dist`: the .img beside it, else the .img.xz unpacked into the cache."""
    plain = sorted(dist.glob("*.img"))
    if plain:
        return plain[0]
    packed = sorted(dist.glob("*.img.xz"))
    if not packed:
        raise ImageError(f"no image in '{dist}' (run: sudo image/build)")
    digest = run.text("sha256sum", packed[0]).split()[0][:16]
    return cached((cache or default_cache()) / "images", f"{digest}.img", lambda image: _unpack(run, packed[0], image))


def _unpack(run: Runner, packed: Path, image: Path) -> None:
    """Writing straight to a file, xz leaves holes where zeros are; and no pipe hides that a file is damaged."""
    run("sh", "-c", 'exec xz --decompress --stdout "$0" >"$1"', packed, image)


def take_files(run: Runner, image: Path, disk: Disk, names: dict[str, str], folder: Path) -> dict[str, Path]:
    """Copies files out of the image's boot partition: word -> path."""
    paths = {word: folder / Path(name).name for word, name in names.items()}
    for word, name in names.items():
        run("mcopy", "-n", "-i", f"{image}@@{disk.fat_lba * SECTOR}", f"::{name}", paths[word])
    return paths


def make_card(run: Runner, image: Path, disk: Disk, folder: Path, files: dict[str, bytes]) -> Path:
    """The overlay `card.qcow2` in `folder`, with files (name -> bytes) put on its boot partition."""
    card = folder / "card.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image.resolve(), "-F", "raw", card, str(CARD_BYTES))
    if files:
        write_fat_files(run, image, disk, card, files)
    return card


def write_fat_files(run: Runner, image: Path, disk: Disk, card: Path, files: dict[str, bytes]) -> None:
    """Puts files on the overlay's boot partition. The image's own partition is the starting point."""
    offset, size = disk.fat_lba * SECTOR, disk.fat_mib << 20
    fat = card.with_name("fat.img")
    with image.open("rb") as file:
        file.seek(offset)
        before = file.read(size)
    fat.write_bytes(before)
    for name, data in files.items():
        source = card.with_name(name)
        source.write_bytes(data)
        run("mcopy", "-o", "-i", fat, source, f"::{name}")
    after = fat.read_bytes()
    commands: list[str] = []
    for start in range(0, size, BLOCK):
        block = after[start : start + BLOCK]
        if block != before[start : start + BLOCK]:
            piece = card.with_name(f"fat.{start}")
            piece.write_bytes(block)
            commands += ["-c", f"write -q -s {piece} {offset + start} {BLOCK}"]
    run("qemu-io", "-f", "qcow2", *commands, card)
    for rest in card.parent.glob("fat.*"):
        rest.unlink()
