"""`update`: install a signed bundle into the slot that does not run, and restart into it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from viscript.errors import UsageError, ViscriptError
from viscript.shell import rollout, screen
from viscript.shell.model import Answer, Command, Talk, Word
from viscript.shell.parse import split_off
from viscript.shell.render import line

if TYPE_CHECKING:
    from skywire_board.update.words import Installed, Progress, Status

BAR = 30
FROM_NODE = "node:"
"""Before the name of a manager, whose bundle is fetched over the mesh."""

FROM_ELSEWHERE = "from elsewhere: ssh viscript@board update - <board.raucb"

USAGE = (
    "update takes a file of this board, an address, 'node:NAME' of a manager, '-' for a bundle on standard input, "
    "'status' ('status --seen': what was rolled back is known, its light may end) or 'reboot', "
    "or --all and what all boards shall take: "
    f"'update http://10.0.0.2/board.raucb'; {FROM_ELSEWHERE}"
)


def talk(talk: Talk, words: list[str]) -> Answer:
    if words[:1] == ["--all"]:
        return rollout.talk(words[1:], live=talk.live and not talk.as_json)
    older, words = split_off(words, "--older")
    stay, words = split_off(words, "--no-reboot")
    yes, words = split_off(words, "--yes")
    match words:
        case ["status"]:
            return _status()
        case ["status", "--seen"]:
            return _status(seen=True)
        case ["reboot"]:
            return _reboot("restarting")
        case ["status", "--all"]:
            return rollout.status(live=talk.live and not talk.as_json)
        case [source] if not source.startswith("--"):
            if source.startswith(FROM_NODE):
                source = rollout.bundle_url(source.removeprefix(FROM_NODE))
            return _install(talk, source, older=older, restart=None if not (stay or yes) else yes and not stay)
    raise UsageError(USAGE)


def _install(talk: Talk, source: str, *, older: bool, restart: bool | None) -> Answer:
    """`restart`: whether to restart when it is installed; None asks the person, and without one it does not."""
    from skywire_board.update import client  # noqa: PLC0415 (only when asked)
    from skywire_board.update.words import FOLLOWS, Install, Installed, Progress  # noqa: PLC0415

    if source == FOLLOWS and sys.stdin.isatty():
        raise UsageError("'-' takes the bundle from standard input: ssh viscript@board update - <board.raucb")
    show = _Bar(live=talk.live and not talk.as_json, silent=talk.as_json)
    done: Installed | None = None
    with _translated(), _opened(source) as (upload, size):
        asked = Install(source if upload is None else FOLLOWS, older=older, size=size)
        for answer in client.install(asked, upload):
            if isinstance(answer, Progress):
                show(answer)
            elif isinstance(answer, Installed):
                done = answer
    show.end()
    assert done is not None
    text = f"version {line(done.version)} is in slot {line(done.slot)}"
    if restart is None and talk.live and not talk.as_json:
        restart = input(f"{text}. Restart the board into it now? [y/N] ").strip().lower() in ("y", "yes")
    if restart:
        return _reboot(f"{text}; restarting into it: it stays if the board is well then, else this one comes back")
    return Answer((f"{text}; it is tried at the next restart (update reboot)",), done)


@contextmanager
def _opened(source: str) -> Iterator[tuple[BinaryIO | None, int]]:
    """What is sent to the door, and its size (0: nobody knows): a file, wherever the person who asks may read it, or
    standard input. An address is fetched by the board, so nothing is.
    """
    if "://" in source:
        yield None, 0
    elif source == "-":
        yield sys.stdin.buffer, 0
    else:
        with _open(source) as file:
            seen = os.fstat(file.fileno())
            yield file, seen.st_size if stat.S_ISREG(seen.st_mode) else 0


def _open(source: str) -> BinaryIO:
    from services.updates.bundle import MAGIC  # noqa: PLC0415 (only when asked)

    try:
        file = Path(source).open("rb")  # noqa: SIM115 (the caller closes it)
        head = file.peek(len(MAGIC))
    except OSError as error:
        raise ViscriptError(f"'{source}' cannot be read: {error.strerror} ({FROM_ELSEWHERE})") from None
    if not head.startswith(MAGIC):
        file.close()
        raise ViscriptError(f"'{source}' is no RAUC bundle (expected a file '.raucb', as the build makes one)")
    return file


def _reboot(text: str) -> Answer:
    from skywire_board.update import client  # noqa: PLC0415 (only when asked)

    with _translated():
        client.reboot()
    return Answer((text,), {"rebooting": True})


def _status(*, seen: bool = False) -> Answer:
    from skywire_board.update import client  # noqa: PLC0415 (only when asked)

    with _translated():
        told = client.status(seen=seen)
    return Answer(tuple(status_lines(told)), told)


def status_lines(seen: Status) -> Iterator[str]:
    """What runs first, then what is out of the ordinary."""
    trial = ", on trial" if seen.trial else ""
    yield f"version {line(seen.version)} runs in slot {line(seen.slot)}{trial}"
    if seen.running:
        yield f"an installation is under way: {seen.percent} %"
    if seen.installed:
        yield f"version {line(seen.installed)} waits in slot {line(seen.other)} (update reboot)"
    if seen.rolled_back:
        yield f"rolled back: {line(seen.rolled_back)}"
        yield "the light says so until the next update, or: update status --seen"
    elif seen.last:
        yield f"last: {line(seen.last)} ({datetime.fromtimestamp(seen.last_at, UTC):%Y-%m-%d %H:%M} UTC)"


class _Bar:
    """A bar on a terminal; elsewhere a line at each new step."""

    def __init__(self, *, live: bool, silent: bool) -> None:
        self._live, self._silent, self._last = live, silent, ""

    def __call__(self, progress: Progress) -> None:
        if self._silent:
            return
        text = line(progress.text)
        if self._live:
            full = BAR * min(progress.percent, 100) // 100
            screen.write(f"\r[{'#' * full}{'-' * (BAR - full)}] {progress.percent:3} %  {text[:60]:<60}")
        elif text != self._last:
            screen.say(f"{progress.percent:3} %  {text}")
        self._last = text

    def end(self) -> None:
        if self._live and self._last:
            screen.write("\n")


@contextmanager
def _translated() -> Iterator[None]:
    """The door's refusals in the shell's own words."""
    from skywire_board.update.client import (  # noqa: PLC0415 (only when asked)
        UpdateAwayError,
        UpdateRefusedError,
        UploadError,
    )

    try:
        yield
    except (UpdateRefusedError, UploadError) as error:
        raise ViscriptError(f"not updated: {error}") from None
    except UpdateAwayError as error:
        raise ViscriptError(str(error)) from None


COMMAND = Command(
    ("update",),
    "update [--all] <file|url|node>",
    "Install a signed update and restart into it",
    "update http://10.0.0.2/skywire-board-arm64.raucb",
    talk=talk,
    words=(Word.PATH,),
    flags=("--all", "--yes", "--no-reboot", "--older", "--percent", "--nodes", "--seen"),
    more=(
        "update status           what runs, what waits, what was rolled back",
        "update status --seen    you know of what was rolled back: the light ends",
        "update reboot           restart into what waits",
        "update --all status|pause|resume|abort",
    ),
)
