"""`update --all`: an update of the whole network, for which the shell asks this board's manager; and where to fetch
the bundle that a manager keeps (`update node:NAME`). Loads its client only when it is asked.
"""

# ruff: noqa: PLC0415 (a shell whose board has no manager loads nothing of it)
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from viscript.errors import RefusedError, ServiceAwayError, UsageError
from viscript.shell import manager, screen
from viscript.shell.model import Act, Answer
from viscript.shell.render import line

if TYPE_CHECKING:
    from services.updates.api_words import Update
    from services.updates.sending import OnProgress
    from viscript.shell.tables import Grid

USAGE = (
    "update --all takes a file of this board, an address, '-' for a bundle on standard input, or nothing for the one "
    "that was rolled out last; then [--percent N] [--nodes a,b] [--older] [--unsafe-failures N]; "
    "or 'status', 'pause', 'resume', 'abort'"
)
INTERVAL_S = 1.0
LEAVE = frozenset(b"qQ\x03\x04\x1a\x1b")
"""q, Ctrl+C, Ctrl+D, Ctrl+Z, Esc: the update goes on."""

BAR = 30
ACTS: tuple[Literal["pause", "resume", "abort"], ...] = ("pause", "resume", "abort")


def talk(words: list[str], *, live: bool = False) -> Answer:
    """What follows `update --all`. `live`: a person sits at a terminal. Raises ViscriptError."""
    if words == ["status"]:
        return status(live=live)
    if len(words) == 1 and words[0] in ACTS:
        return steer(words[0])
    return start(words, live=live)


def start(words: list[str], *, live: bool = False) -> Answer:
    """A bundle and how to roll it out. Raises UsageError, RefusedError, ServiceAwayError."""
    import msgspec

    from services.updates import sending
    from services.updates.api_words import StartUpdate, Update

    source, options = _read(words)
    wanted, upload = msgspec.convert(options, StartUpdate), ""
    if source:
        with _translated():
            upload = sending.send(source, _show_sent(live=live), manager.board_socket())
    answer = manager.ask(msgspec.structs.replace(wanted, upload=upload), Update)
    return _watch() if live else show(answer)


def status(*, live: bool = False) -> Answer:
    """How far it is; on a terminal drawn anew each second while it is under way."""
    from services.updates.api_words import GetUpdate, Update

    answer = manager.ask(GetUpdate(), Update)
    return _watch() if live and answer.course in {"running", "paused"} else show(answer)


def steer(act: str) -> Answer:
    """`pause`, `resume` or `abort`."""
    from services.updates.api_words import SteerUpdate, Update

    if act not in ACTS:
        raise UsageError(USAGE)
    return show(manager.ask(SteerUpdate(act), Update))


def bundle_url(node: str) -> str:
    """Where the bundle is that the manager `node` keeps, by name or id, over the mesh. Raises RefusedError,
    ServiceAwayError.
    """
    import json
    from urllib.error import URLError
    from urllib.request import urlopen

    from services.node.api_words import Connect, Connected
    from services.node.errors import NodeAwayError, NodeError
    from services.node.line import ask_once
    from services.updates.model import PORT, SERVICE

    try:
        found = ask_once(Connect(node, SERVICE), Connected)
    except NodeAwayError as error:
        raise ServiceAwayError(f"{error}\nIs the node started here? Try 'start node'.") from None
    except NodeError as error:
        raise RefusedError(f"{error} (bundles are kept by managers: node:NAME of one)") from None
    place = f"http://[{found.address}]:{found.port or PORT}/updates"
    try:
        with urlopen(f"{place}/current", timeout=20) as reply:  # noqa: S310 (http, to an address of the mesh)
            return f"{place}/{json.loads(reply.read(4096))['sha256']}.raucb"
    except URLError as error:
        raise RefusedError(f"'{node}' keeps no bundle that this board may fetch: {error.reason}") from None
    except (OSError, ValueError, KeyError) as error:
        raise RefusedError(f"'{node}' does not say which bundle it keeps: {error}") from None


def show(answer: Update) -> Answer:
    from services.updates.tables import headline
    from viscript.shell.tables import lines_of

    table = lines_of(_grid(answer)) if answer.boards else ()
    return Answer((line(headline(answer)), *table), answer, failed=answer.course == "stopped")


def _grid(answer: Update) -> Grid:
    from services.updates.tables import TITLES, rows
    from viscript.shell.tables import Grid

    return Grid(TITLES, rows(answer))


def _watch() -> Answer:
    """Until it is over, or a key leaves it."""
    from services.updates.api_words import GetUpdate, Update
    from viscript.shell.keyboard import single_keys, wait_key
    from viscript.shell.tables import show_live

    seen = [manager.ask(GetUpdate(), Update)]

    def draw() -> Grid:
        seen[0] = _ask_again(seen[0])
        return _grid(seen[0])

    with single_keys() as terminal:

        def is_enough() -> bool:
            return not LEAVE.isdisjoint(wait_key(terminal, INTERVAL_S)) or seen[0].course not in {"running", "paused"}

        show_live(draw, is_enough)
    for text in (*show(seen[0]).lines, *_goes_on(seen[0])):
        screen.say(text)
    return Answer(act=Act.TOLD, failed=seen[0].course == "stopped")


def _ask_again(before: Update) -> Update:
    """While this board's own manager is started anew, what was seen last."""
    from services.updates.api_words import GetUpdate, Update

    try:
        return manager.ask(GetUpdate(), Update)
    except ServiceAwayError:
        return before


def _goes_on(answer: Update) -> list[str]:
    return ["it goes on without this shell: update --all status"] if answer.course == "running" else []


def _read(words: list[str]) -> tuple[str, dict[str, object]]:
    """The source, or nothing, and what `StartUpdate` takes. Raises UsageError."""
    source, options = "", dict[str, object]()
    left = iter(words)
    for word in left:
        if word == "--older":
            options["older"] = True
        elif word in {"--percent", "--unsafe-failures"}:
            options["percent" if word == "--percent" else "failures"] = _number(next(left, ""))
        elif word == "--nodes":
            options["nodes"] = tuple(name for name in next(left, "").split(",") if name)
        elif word.startswith("--") or source:
            raise UsageError(USAGE)
        else:
            source = word
    return source, options


def _number(word: str) -> int:
    if not word.isdecimal():
        raise UsageError(f"'{word[:40]}' is no number. {USAGE}")
    return int(word)


def _show_sent(*, live: bool) -> OnProgress:
    if not live:
        return lambda _sent, _of: None

    def show_bar(sent: int, of: int) -> None:
        if of and (sent == of or sent % (1 << 20) == 0):
            full = BAR * sent // of
            end = "\n" if sent == of else ""
            screen.write(f"\r[{'#' * full}{'-' * (BAR - full)}] {100 * sent // of:3} %  to the managers{end}")

    return show_bar


@contextmanager
def _translated() -> Iterator[None]:
    from services.manager.errors import ManagerAwayError, ManagerError

    try:
        yield
    except ManagerAwayError as error:
        raise ServiceAwayError(f"{error}\nIs one here, and not started? Try '{manager.START}'.") from None
    except ManagerError as error:
        raise RefusedError(str(error)) from None
