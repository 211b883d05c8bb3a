"""The update door: a socket that systemd listens on, words in and out, one installation at a time.

The process ends when nobody has asked for a while. Who hangs up in an installation stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from typing import Any

import msgspec

from skywire_board.errors import UpdateError
from skywire_board.logins import without_login
from skywire_board.update.installing import Upload, forget, install
from skywire_board.update.notes import Notes
from skywire_board.update.rauc import Rauc
from skywire_board.update.trial import mark_seen
from skywire_board.update.words import (
    FOLLOWS,
    MAX_LINE,
    AskStatus,
    Install,
    MarkSeen,
    Progress,
    Reboot,
    Rebooting,
    Refused,
    Request,
    Status,
    line,
    read_request,
)

log = logging.getLogger("skywire_board.update")

FIRST_FD = 3  # sd_listen_fds(3)
IDLE_S = 30.0
ASK_WITHIN_S = 30.0
KEPT: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""The socket's file is systemd's, which goes on listening on it when we end."""


class Door:
    """Answers connections; `reboot` is the program and words that restart the board."""

    def __init__(self, notes: Notes, rauc: Rauc, reboot: tuple[str, ...] = ("systemctl", "reboot")) -> None:
        self._notes, self._rauc, self._reboot = notes, rauc, reboot
        self._installing: Progress | None = None
        self._open = 0
        self._idle = asyncio.Event()

    async def serve(self, listener: socket.socket, idle_s: float = IDLE_S) -> None:
        """Answers until nobody was there for `idle_s`."""
        server = await asyncio.start_unix_server(self._answer, sock=listener, limit=MAX_LINE, **KEPT)
        async with server:
            while True:
                self._idle.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(idle_s):
                        await self._idle.wait()
                    continue
                if not self._open:
                    return

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self._idle.set()
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                text = await reader.readuntil(b"\n")
            await self._do(read_request(text), reader, writer)
        except msgspec.DecodeError as error:
            writer.write(line(Refused(f"not understood: {error}")))
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("a connection asked nothing")
        finally:
            self._open -= 1
            self._idle.set()
            with contextlib.suppress(OSError):
                async with asyncio.timeout(ASK_WITHIN_S):
                    await writer.drain()
            writer.close()

    async def _do(self, asked: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match asked:
            case AskStatus():
                writer.write(line(self.status()))
            case MarkSeen():
                writer.write(line(self.see()))
            case Reboot():
                writer.write(line(Rebooting()))
                await writer.drain()
                await (await asyncio.create_subprocess_exec(*self._reboot)).wait()
            case Install():
                await self._install(asked, reader, writer)

    async def _install(self, asked: Install, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._installing:
            writer.write(line(Refused("another installation is under way (see: update status)")))
            return
        self._installing = Progress(0, "starting")

        def tell(percent: int, text: str) -> None:
            self._installing = Progress(percent, text)
            writer.write(line(self._installing))

        upload = Upload(reader, asked.size) if asked.source == FOLLOWS else None
        source = without_login(asked.source)
        work = asyncio.ensure_future(install(asked, upload, self._notes, self._rauc, tell))
        gone = asyncio.ensure_future(_hung_up(reader, upload))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                log.warning("the installation of '%s' is stopped: who asked for it hung up", source)
                work.cancel()
            writer.write(line(await work))
        except UpdateError as error:
            text = without_login(str(error))
            log.warning("'%s' is not installed: %s", source, text)
            writer.write(line(Refused(text)))
        except asyncio.CancelledError:
            forget(self._notes)
            if not work.cancelled():
                raise
        finally:
            gone.cancel()
            self._installing = None

    def see(self) -> Status | Refused:
        """Somebody knows of what was rolled back."""
        try:
            mark_seen(self._notes)
        except UpdateError as error:
            return Refused(str(error))
        return self.status()

    def status(self) -> Status:
        """What runs, what waits, what happened last."""
        note, trial, last, now = self._notes.boot(), self._notes.trial(), self._notes.last(), self._installing
        waits = trial is not None and note is not None and trial.slot != note.slot and now is None
        return Status(
            version=note.version if note else self._notes.version(),
            slot=note.slot if note else "",
            other=note.other if note else "",
            trial=note is not None and note.trial,
            installed=trial.version if trial and waits else "",
            rolled_back=note.rolled_back if note else "",
            running=now is not None,
            percent=now.percent if now else 0,
            last=last.text,
            last_at=last.at,
        )


async def _hung_up(reader: asyncio.StreamReader, upload: Upload | None) -> None:
    """Back when the other end is gone. An upload without a size ends its half of the connection itself, and is then
    left to it.
    """
    if upload is not None:
        await upload.here.wait()
        if not upload.size:
            await asyncio.Event().wait()
    while await reader.read(MAX_LINE):
        pass


def given_listener() -> socket.socket:
    """The socket that systemd listens on for us; UpdateError when there is none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise UpdateError("systemd handed over no socket (start skywire-update.socket, which starts this)")
    return socket.socket(fileno=FIRST_FD)
