"""One installation, from what was asked to its end: settle what can be refused first, note it, then write the slot.

While the other slot is written it is bad, so that a cut at any point leaves the running one; RAUC makes it the first
with three tries when all of it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from skywire_board.api_words import SOCKET as BOARD_SOCKET
from skywire_board.bootstate.codec import other
from skywire_board.errors import UpdateError
from skywire_board.update.model import BootNote, Bundle, Last, Trial
from skywire_board.update.notes import Notes
from skywire_board.update.rauc import Rauc
from skywire_board.update.settle import is_older
from skywire_board.update.words import FOLLOWS, Install, Installed

INCOMING = "incoming.raucb"
ROOM_LEFT = 32 << 20
CHUNK = 1 << 18
DATA_FAULT = Path("/run/skywire/data-fault")
COMPATIBLE = "skywire-board-arm64"

Tell = Callable[[int, str], None]


async def install(asked: Install, upload: asyncio.StreamReader, notes: Notes, rauc: Rauc, tell: Tell) -> Installed:
    """Installs what was asked for; UpdateError says why not, and then the running slot is untouched."""
    note = check_board(notes)
    with contextlib.ExitStack() as held:
        source = await _fetch(asked.source, upload, notes.folder, held, tell)
        tell(0, "checking the bundle")
        await rauc.start()
        try:
            bundle = await rauc.inspect(source)
            check(bundle, note.version, older=asked.older)
            trial = Trial(
                slot=other(note.slot), version=bundle.version, digest=bundle.digest, size=bundle.size,
                was=note.version, mesh_before=await asyncio.to_thread(is_mesh_up), at=time.time(),
            )  # fmt: skip
            return await _write(source, trial, notes, rauc, tell)
        finally:
            await asyncio.shield(rauc.stop())


async def _write(source: str, trial: Trial, notes: Notes, rauc: Rauc, tell: Tell) -> Installed:
    """From here on the other slot is overwritten, and what was rolled back before is forgotten."""
    notes.write_last(Last(at=trial.at))
    notes.write_trial(trial)
    note = notes.boot()
    if note is not None and note.rolled_back:
        notes.write_boot(msgspec.structs.replace(note, rolled_back=""))
    try:
        await rauc.install(source, tell)
    except UpdateError as error:
        notes.write_trial(None)
        notes.write_last(Last(f"version {trial.version} was not installed: {error}", "", time.time()))
        raise
    notes.write_last(Last(f"version {trial.version} waits in slot {trial.slot} for a reboot", "", time.time()))
    return Installed(trial.version, trial.slot)


def forget(notes: Notes) -> None:
    """What is noted of an installation that was stopped: there is nothing to be tried."""
    trial = notes.trial()
    if trial is not None:
        notes.write_trial(None)
        notes.write_last(Last(f"the installation of version {trial.version} was stopped", "", time.time()))


def check_board(notes: Notes) -> BootNote:
    """This boot's note; UpdateError when the board must not take any bundle now."""
    note = notes.boot()
    if note is None:
        raise UpdateError("this board does not know yet which slot it runs from (try again when it is up)")
    if note.trial:
        raise UpdateError(f"slot {note.slot} is on trial itself (wait until it is marked good: update status)")
    if DATA_FAULT.exists():
        raise UpdateError("the data partition is in RAM, where an update could not be remembered (see: status)")
    return note


def check(bundle: Bundle, running: str, *, older: bool) -> None:
    """UpdateError when this board must not take the bundle, whose signature is right."""
    if bundle.compatible != COMPATIBLE:
        raise UpdateError(f"the bundle is for '{bundle.compatible}', and this board takes '{COMPATIBLE}'")
    if is_older(bundle.version, running) and not older:
        raise UpdateError(f"version {bundle.version} is older than {running}, which runs (add --older to go back)")


def is_mesh_up() -> bool:
    """Whether the supervisor sees the mesh working; a supervisor that does not answer saw nothing."""
    from skywire_board.client import BoardAwayError, BoardLine, BoardRefusedError  # noqa: PLC0415  # not before

    try:
        with BoardLine("update", BOARD_SOCKET) as board:
            return board.status().mesh == "online"
    except (BoardAwayError, BoardRefusedError):
        return False


async def _fetch(
    source: str, upload: asyncio.StreamReader, folder: Path, held: contextlib.ExitStack, tell: Tell
) -> str:
    """A source that RAUC can open: an address as it is, a path of root's, or a copy of what others have or send."""
    if source.startswith(("http://", "https://")):
        return source
    if source == FOLLOWS:
        path = folder / INCOMING
        held.callback(path.unlink, missing_ok=True)
        await _receive(_chunks(upload), path, tell)
        return str(path)
    if check_path(source):
        return source
    path = folder / INCOMING
    held.callback(path.unlink, missing_ok=True)
    await _receive(_read(Path(source)), path, tell)
    return str(path)


def check_path(source: str) -> bool:
    """Whether a file is root's, so that nobody changes it while it is read; UpdateError when there is none."""
    if not source.startswith("/"):
        raise UpdateError(f"'{source}' is no address (http://…, https://…) and no whole path (/…)")
    if not Path(source).is_file():
        raise UpdateError(f"there is no file '{source}' on this board")
    return Path(source).stat().st_uid == 0


async def _receive(chunks: AsyncIterator[bytes], path: Path, tell: Tell) -> None:
    """Bytes until their end into a file, as long as there is room on the data partition."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = 0
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        async for chunk in chunks:
            room = os.statvfs(path.parent)
            if room.f_bavail * room.f_frsize < ROOM_LEFT + len(chunk):
                raise UpdateError(
                    f"no room for the bundle on the data partition: {seen >> 20} MB of it came, "
                    f"{ROOM_LEFT >> 20} MB must stay free (an address needs no room: update http://…)"
                )
            await asyncio.to_thread(file.write, chunk)
            if seen >> 22 != (seen + len(chunk)) >> 22:
                tell(0, f"received {(seen + len(chunk)) >> 20} MB")
            seen += len(chunk)
    if not seen:
        raise UpdateError("the bundle is empty (run: ssh viscript@board update - <FILE.raucb)")


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


async def _chunks(upload: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await upload.read(CHUNK):
        yield chunk
