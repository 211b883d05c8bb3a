"""What an application writes, followed as it comes; and what a person types, given to it."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from viscript.api.model import Done, ReadLog, TypeInto
from viscript.errors import ViscriptError
from viscript.launcher.model import LogPart
from viscript.shell import screen
from viscript.shell.keyboard import CTRL_C, CTRL_Z, read_typed, typed_lines
from viscript.shell.render import ending, plain, tame

if TYPE_CHECKING:
    from viscript.shell.model import Caller, Talk

CHECK_S = 30.0
"""Seconds after which a silent line is looked at again."""


def follow(talk: Talk, app_id: int, lines: int) -> None:
    """Say what comes until the application ends or Ctrl+C; JSON is a part per line."""
    line = talk.daemon.another()
    try:
        part = line.call(ReadLog(app_id, lines=lines), LogPart)
        while True:
            _tell(part, as_json=talk.as_json)
            if part.ended is not None:
                return
            part = line.call(ReadLog(app_id, offset=part.next_offset, wait_s=line.patience_s), LogPart)
    except KeyboardInterrupt:
        if talk.live and not talk.as_json:
            screen.say("")  # the terminal has shown ^C somewhere in a line
    finally:
        line.close()


def attach(talk: Talk, app_id: int, offset: int | None) -> None:
    """Follow the output, and send each typed line, until the application ends or Ctrl+Z is pressed. `offset` is where
    to begin; None is the last lines.
    """
    line = talk.daemon.another()
    try:
        with typed_lines() as terminal:
            part = line.call(ReadLog(app_id, offset=offset, lines=10), LogPart)
            _tell(part, as_json=False)
            while part.ended is None:
                line.ask(ReadLog(app_id, offset=part.next_offset, wait_s=line.patience_s))
                if not _type_until_answered(talk.daemon, line, app_id, terminal):
                    screen.say(f"\nDetached from id {app_id}, which goes on running.")
                    return
                part = line.take(LogPart)
                _tell(part, as_json=False)
    finally:
        line.close()


def _type_until_answered(daemon: Caller, line: Caller, app_id: int, terminal: int) -> bool:
    """Whether the person is still there."""
    while True:
        ready = select.select([terminal, line.fileno()], [], [], CHECK_S)[0]
        if terminal in ready:
            typed = read_typed(terminal)
            if not typed or typed.endswith((CTRL_Z, CTRL_C)):
                return False
            try:
                daemon.call(TypeInto(app_id, typed.decode("utf-8", "replace")), Done)
            except ViscriptError as error:
                screen.complain(str(error))
        if line.fileno() in ready or not ready:
            return True


def _tell(part: LogPart, *, as_json: bool) -> None:
    if as_json:
        screen.say_json(part)
        return
    if part.text:
        screen.write(tame(part.text))
    if part.ended is not None:
        screen.say(plain(f"({part.ended.app} has ended: {ending(part.ended)})"))
