"""The bytes of files, beside the store: one's own while they are wanted, others' for good. Named by their ids alone;
what a sender calls a file never becomes a path.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from services.messenger.errors import StoreError
from services.messenger.model import DIGEST_BYTES
from services.messenger.wire import MAX_CHUNK
from viscript.durable import sync_folder

READ = 256 * 1024


class Part:
    """A file that grows, and the hash of what is in it. Its methods block."""

    def __init__(self, path: Path, whole: Path, most: int) -> None:
        """Raises StoreError."""
        self._path, self._whole = path, whole
        self._hash = new_hash()
        self.size = 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            while data := os.read(self._file, READ):
                self._hash.update(data)
                self.size += len(data)
            if self.size > most:
                self._begin_again()
        except OSError as error:
            raise _told(path, error) from None

    def write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise _told(self._path, error) from None
        self._hash.update(data)
        self.size += len(data)

    def sync(self) -> None:
        os.fdatasync(self._file)

    def keep(self, digest: bytes | None = None) -> bool:
        """Whole and under its name for good, unless its hash is another than `digest`; then it is empty."""
        try:
            if digest is not None and self._hash.digest() != digest:
                self._begin_again()
                return False
            os.fsync(self._file)
            self._path.rename(self._whole)
            sync_folder(self._whole.parent)
        except OSError as error:
            raise _told(self._path, error) from None
        return True

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def _begin_again(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._hash, self.size = new_hash(), 0

    def close(self) -> None:
        os.close(self._file)


class FileStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, file: bytes) -> Path:
        return self._folder / file.hex()

    def open_part(self, file: bytes, size: int) -> Part:
        """What came of it already is in it. Raises StoreError."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _told(self._folder, error) from None
        whole = self.path(file)
        if whole.exists():  # renamed, and the power went before that was written down
            whole.rename(whole.with_suffix(".part"))
        return Part(whole.with_suffix(".part"), whole, size)

    async def take(self, file: bytes, size: int, chunks: AsyncIterator[bytes]) -> bytes:
        """One's own, as it comes; returns its digest. What is not whole is forgotten. Raises StoreError."""
        part = await asyncio.to_thread(self.open_part, file, size)
        try:
            async for data in chunks:
                await asyncio.to_thread(part.write, data)
            if part.size != size:
                raise StoreError(f"{part.size} bytes came of {size}")
            await asyncio.to_thread(part.keep)
        except BaseException:
            self.forget(file)
            raise
        finally:
            part.close()
        return part.digest

    async def stretch(self, file: bytes, offset: int, count: int) -> AsyncIterator[tuple[int, bytes]]:
        """Offsets and bytes. Raises StoreError where it is not there."""
        try:
            opened = os.open(self.path(file), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise _told(self.path(file), error) from None
        try:
            end = offset + count
            while offset < end:
                data = await asyncio.to_thread(os.pread, opened, min(MAX_CHUNK, end - offset), offset)
                if not data:
                    raise StoreError(f"'{self.path(file)}' is shorter than it was")
                yield offset, data
                offset += len(data)
        finally:
            os.close(opened)

    def forget(self, file: bytes) -> None:
        for path in (self.path(file), self.path(file).with_suffix(".part")):
            path.unlink(missing_ok=True)

    def tidy(self, known: Collection[str]) -> int:
        """Forgets what belongs to no file that is known; returns how many there were."""
        if not self._folder.is_dir():
            return 0
        strange = [path for path in self._folder.iterdir() if path.name.removesuffix(".part") not in known]
        for path in strange:
            path.unlink(missing_ok=True)
        return len(strange)


def new_hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=DIGEST_BYTES, person=b"skywire file")


def _told(path: Path, error: OSError) -> StoreError:
    return StoreError(f"'{path}': {error.strerror or error} (is there space on the disk?)")
