"""What a program added to its signal client: fields, commands, a shutdown hook; and the answers made of them.

Runs without the line. Each call has a deadline, and only so many may be under way: a handler that hangs costs
its own answer, nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

import msgspec

from viscript.signal.calls import call
from viscript.signal.errors import LocalError, RefusedError
from viscript.signal.model import MAX_BODY, FieldValue, Level, OwnUsage, Report, Text
from viscript.signal.own_usage import read_own_usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from viscript.signal.model import Command

log = logging.getLogger(__name__)

FIELD_DEADLINE_S = 2.0
LEVEL_DEADLINE_S = 5.0
COMMAND_DEADLINE_S = 60.0
SHUTDOWN_DEADLINE_S = 5.0
MAX_COMMANDS_RUNNING = 8
MAX_STATUS, MAX_VALUE = 500, 200
MAX_TEXT = MAX_BODY - 64
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Handlers:
    """One program's; filled from any thread, asked from the client's loop."""

    def __init__(self) -> None:
        self.status = ""
        self.fields: dict[str, Callable[[], object]] = {}
        self.commands: dict[str, Callable[..., object]] = {}
        self.shutdown: tuple[Callable[[], object], float] | None = None
        self.set_level: Callable[[str], object] = set_root_level
        self._level_told = ""
        self._asking: dict[str, asyncio.Task[object]] = {}
        self._commands_running = 0

    async def report(self) -> Report:
        names = tuple(self.fields)
        own = asyncio.ensure_future(call(read_own_usage, deadline_s=FIELD_DEADLINE_S))
        values = await asyncio.gather(*(self._read_field(name) for name in names))
        usage = await own
        assert isinstance(usage, OwnUsage)
        return Report(
            clean(self.status, MAX_STATUS),
            self._level(),
            dict(zip(names, values, strict=True)),
            tuple(sorted(self.commands)),
            usage,
        )

    async def take_level(self, level: str) -> Level:
        await call(self.set_level, level, deadline_s=LEVEL_DEADLINE_S)
        self._level_told = level
        return Level(self._level())

    async def run_command(self, command: Command) -> Text:
        function = self.commands.get(command.name)
        if function is None:
            known = ", ".join(sorted(self.commands)) or "none"
            raise RefusedError(f"no command '{command.name}' (there are: {known})")
        if self._commands_running >= MAX_COMMANDS_RUNNING:
            raise RefusedError(f"{MAX_COMMANDS_RUNNING} commands are running already: try again later")
        self._commands_running += 1
        try:
            said = await call(function, *command.args, deadline_s=COMMAND_DEADLINE_S)
        finally:
            self._commands_running -= 1
        return Text(cut("" if said is None else str(said)))

    async def prepare_shutdown(self) -> None:
        """Run the hook to its end or deadline; its failure does not keep the program."""
        if self.shutdown is None:
            return
        hook, deadline_s = self.shutdown
        try:
            await call(hook, deadline_s=deadline_s)
        except RefusedError as error:
            log.warning("shutdown hook: %s", error)

    def close(self) -> None:
        for asking in tuple(self._asking.values()):
            asking.cancel()

    def _level(self) -> str:
        return get_root_level() if self.set_level is set_root_level else clean(self._level_told, MAX_VALUE)

    async def _read_field(self, name: str) -> FieldValue:
        """Two reports at once share one call, and one that hangs is not called again."""
        asking = self._asking.get(name)
        if asking is None:
            asking = asyncio.ensure_future(call(self.fields[name], deadline_s=None))
            self._asking[name] = asking
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        await asyncio.wait({asking}, timeout=FIELD_DEADLINE_S)
        if not asking.done():
            return f"(no answer in {FIELD_DEADLINE_S:g} s)"
        error = asking.exception()
        return clean(f"({error})", MAX_VALUE) if error is not None else tidy(asking.result())


def check_name(name: str, taken: dict[str, Callable[..., object]]) -> None:
    """Names travel as words of a command line. Raises LocalError."""
    if not name or not name.isprintable() or " " in name or len(name) > 64:
        raise LocalError(f"name '{name}' is not one printable word of at most 64 letters")
    if name in taken:
        raise LocalError(f"name '{name}' is taken already")


def tidy(value: object) -> FieldValue:
    """A value that JSON carries unchanged; anything else as text."""
    if isinstance(value, bool) or (type(value) is int and abs(value) < 2**63):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    return clean(str(value), MAX_VALUE)


def clean(text: str, limit: int) -> str:
    """Text that can be sent, however it came about."""
    sendable = text.encode("utf-8", "replace").decode()
    return sendable if len(sendable) <= limit else f"{sendable[: limit - 1]}…"


def cut(text: str) -> str:
    """As much of the text as one body takes."""
    limit = len(text)
    while len(msgspec.json.encode(shown := clean(text, limit))) > MAX_TEXT:
        limit = limit * 3 // 4
    return shown


def set_root_level(level: str) -> None:
    """The usual handler: Python's root logger."""
    if level.upper() not in LEVELS:
        raise RefusedError(f"no log level '{level}' (there are: {', '.join(LEVELS)})")
    logging.getLogger().setLevel(level.upper())


def get_root_level() -> str:
    return logging.getLevelName(logging.getLogger().getEffectiveLevel())
