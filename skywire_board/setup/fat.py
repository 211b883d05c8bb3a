"""Finds where the bytes of a file in the root of a FAT32 lie. It reads only; no decision, no I/O but through `read`.

So a file can be overwritten in place while neither the tables nor the directory of the file system are written, ever: a
power cut can at worst harm bytes of that one file. Source: Microsoft's FAT specification, 1.03.
"""

import struct
from collections.abc import Callable, Iterator

from skywire_board.errors import SetupError

Read = Callable[[int, int], bytes]
Extent = tuple[int, int]
"""Offset and length in bytes."""

ENTRY = 32
LONG_NAME, VOLUME, FOLDER = 0x0F, 0x08, 0x10
DELETED, LAST = 0xE5, 0x00
END = 0x0FFFFFF8


class Fat:
    """`read(offset, length)` reads from the start of the file system. SetupError when it is no FAT32."""

    def __init__(self, read: Read) -> None:
        boot = read(0, 512)
        if len(boot) < 512 or boot[510:512] != b"\x55\xaa" or boot[22:24] != b"\0\0":
            raise SetupError("the boot partition holds no FAT32 file system (write the card anew)")
        self._read = read
        sector, per_cluster, reserved, tables = struct.unpack_from("<HBHB", boot, 11)
        table_sectors, _, _, root = struct.unpack_from("<IHHI", boot, 36)
        self._root: int = root
        self._table: int = reserved * sector
        self._data: int = self._table + tables * table_sectors * sector
        self._entries: int = table_sectors * sector // 4
        self.cluster_bytes: int = sector * per_cluster
        if not self.cluster_bytes:
            raise SetupError("the boot partition holds no FAT32 file system (write the card anew)")

    def extents(self, name: str) -> list[Extent] | None:
        """Where the file's bytes lie, in their order; None when there is no such file in the root folder."""
        for found, first, size, attributes in self._folder(self._root):
            if found.lower() == name.lower() and not attributes & (FOLDER | VOLUME):
                return self._clip(self._chain(first) if size else iter(()), size)
        return None

    def _clip(self, clusters: Iterator[int], size: int) -> list[Extent]:
        extents: list[Extent] = []
        for cluster in clusters:
            length = min(self.cluster_bytes, size)
            if length <= 0:
                break
            offset, size = self._offset(cluster), size - length
            if extents and sum(extents[-1]) == offset:
                extents[-1] = (extents[-1][0], extents[-1][1] + length)
            else:
                extents.append((offset, length))
        if size > 0:
            raise SetupError("a file of the boot partition is shorter than its entry says (check it on a computer)")
        return extents

    def _offset(self, cluster: int) -> int:
        return self._data + (cluster - 2) * self.cluster_bytes

    def _chain(self, cluster: int) -> Iterator[int]:
        seen: set[int] = set()
        while cluster < END:
            if not 2 <= cluster < self._entries or cluster in seen:
                raise SetupError("a chain of the boot partition's file system is broken (check it on a computer)")
            seen.add(cluster)
            yield cluster
            entry = self._read(self._table + cluster * 4, 4)
            cluster = int.from_bytes(entry, "little") & 0x0FFFFFFF

    def _folder(self, first: int) -> Iterator[tuple[str, int, int, int]]:
        """(name, first cluster, size, attributes) of each entry; the long name where there is one."""
        long_name: dict[int, str] = {}
        for cluster in self._chain(first):
            data = self._read(self._offset(cluster), self.cluster_bytes)
            for at in range(0, len(data), ENTRY):
                entry = data[at : at + ENTRY]
                if entry[0] == LAST:
                    return
                if entry[0] == DELETED:
                    long_name = {}
                elif entry[11] & 0x3F == LONG_NAME:
                    long_name[entry[0] & 0x1F] = _long_part(entry)
                else:
                    name = "".join(long_name[part] for part in sorted(long_name)) or _short_name(entry)
                    high, low, size = struct.unpack_from("<H4xHI", entry, 20)
                    long_name = {}
                    yield name, high << 16 | low, size, entry[11]


def _long_part(entry: bytes) -> str:
    text = (entry[1:11] + entry[14:26] + entry[28:32]).decode("utf-16-le", "replace")
    return text.split("\0", 1)[0]


def _short_name(entry: bytes) -> str:
    stem, suffix = (part.decode("ascii", "replace").rstrip() for part in (entry[:8], entry[8:11]))
    return f"{stem}.{suffix}" if suffix else stem
