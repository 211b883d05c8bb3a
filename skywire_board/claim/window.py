"""The two minutes in which a key can be pinned: one socket, one asker at a time, the first one wins.

Root serves it, since root alone may alter who logs in; admin alone may ask, which the kernel says of each connection
(SO_PEERCRED). The socket's being there is what `offer` goes by, so it goes first when the window closes.
"""

import contextlib
import logging
import os
import pwd
import selectors
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from skywire_board.api_words import SOCKET as BOARD_SOCKET
from skywire_board.claim.pinning import Places, is_claimed, pin
from skywire_board.claim.words import MAX_LINE, Answer, Pin, Pinned, Refused
from skywire_board.client import BoardAwayError, BoardLine, BoardRefusedError, tell
from skywire_board.errors import ClaimError

OPEN_S = 120.0
ASKER_S = 5.0
"""How long an asker may take to ask."""

SOURCE = "claim"
OPEN_TEXT = "unclaimed: the first SSH key that logs in as admin within two minutes becomes the owner's"

log = logging.getLogger("skywire_board.claim")


@dataclass(frozen=True, slots=True)
class Window:
    """Where to listen, who may ask (a user's name), how long it stays open after a press, where the supervisor is."""

    socket: Path = Path("/run/skywire/claim/claim.sock")
    user: str = "admin"
    open_s: float = OPEN_S
    board: Path = BOARD_SOCKET


def keep_open(window: Window, places: Places) -> bool:
    """Serve until a key is pinned (true) or the time is over (false). Another short press gives the full time again.

    Raises ClaimError.
    """
    if is_claimed(places):
        log.info("this board is claimed: no key is taken")
        return False
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(window))
        stack.callback(window.socket.unlink, missing_ok=True)
        board = _tell_open(window, stack)
        fingerprint = _serve(window, places, listener, board)
    if fingerprint:
        log.info("claimed: key %s is pinned for admin and viscript", fingerprint)
        tell(SOURCE, "confirmed", f"claimed by key {fingerprint}", window.board)
    else:
        log.info("nobody claimed this board: the window is closed")
    return bool(fingerprint)


def _listen(window: Window) -> socket.socket:
    window.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    window.socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        before = os.umask(0o117)
        try:
            listener.bind(str(window.socket))
        finally:
            os.umask(before)
        os.chown(window.socket, -1, pwd.getpwnam(window.user).pw_gid)
        listener.listen(8)
    except (OSError, KeyError) as error:
        listener.close()
        raise ClaimError(f"cannot listen at '{window.socket}': {error}") from error
    return listener


def _tell_open(window: Window, stack: contextlib.ExitStack) -> BoardLine | None:
    """The supervisor shows it and passes presses on; without one the window is open all the same."""
    try:
        board = stack.enter_context(BoardLine(SOURCE, window.board))
        board.say("note", OPEN_TEXT)
        board.follow()
    except (BoardAwayError, BoardRefusedError) as error:
        log.warning("%s", error)
        return None
    return board


def _serve(window: Window, places: Places, listener: socket.socket, board: BoardLine | None) -> str:
    """The fingerprint of the key that was pinned, or nothing."""
    ends_s = time.monotonic() + window.open_s
    log.info("for %.0f s the first SSH key that logs in as %s is pinned", window.open_s, window.user)
    with selectors.DefaultSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        if board is not None:
            ready.register(board, selectors.EVENT_READ)
        while (left_s := ends_s - time.monotonic()) > 0:
            for key, _ in ready.select(left_s):
                if key.fileobj is listener:
                    if fingerprint := _answer_one(window, places, listener):
                        return fingerprint
                elif board is not None:
                    pressed = _was_pressed(board)
                    if pressed is None:
                        ready.unregister(board)
                    elif pressed:
                        ends_s = time.monotonic() + window.open_s
    return ""


def _was_pressed(board: BoardLine) -> bool | None:
    """None when the supervisor is gone."""
    try:
        return board.act(0) == "short"
    except BoardAwayError:
        return None


def _answer_one(window: Window, places: Places, listener: socket.socket) -> str:
    asker, _ = listener.accept()
    with asker:
        asker.settimeout(ASKER_S)
        try:
            answer = _decide(window, places, asker)
        except (ClaimError, msgspec.DecodeError) as error:
            answer = Refused(str(error))
        except OSError as error:
            log.warning("an asker did not ask: %s", error)
            return ""
        if isinstance(answer, Pinned):
            window.socket.unlink(missing_ok=True)
        else:
            log.warning("not pinned: %s", answer.text)
        with contextlib.suppress(OSError):  # it is pinned, whether the asker hears of it or not
            asker.sendall(msgspec.json.encode(answer) + b"\n")
    return answer.fingerprint if isinstance(answer, Pinned) else ""


def _decide(window: Window, places: Places, asker: socket.socket) -> Answer:
    line = b""
    ends_s = time.monotonic() + ASKER_S
    while not line.endswith(b"\n"):
        data = asker.recv(MAX_LINE)
        line += data
        if not data or len(line) > MAX_LINE or time.monotonic() > ends_s:
            raise ClaimError("that was no line")
    _, uid, _ = struct.unpack("3i", asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if uid != pwd.getpwnam(window.user).pw_uid:
        raise ClaimError(f"user {uid} may not claim this board: log in as {window.user}")
    return Pinned(pin(msgspec.json.decode(line, type=Pin).key, places))
