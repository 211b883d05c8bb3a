"""Runs one line: finds the command, prints the answer, gives the exit code. Used by every way into the shell.

Exit codes: 0 done, 1 failed, 2 asked wrongly.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

from viscript.errors import UsageError, ViscriptError
from viscript.shell import screen
from viscript.shell.commands import BY_NAME, find_command
from viscript.shell.commands.on import run_on
from viscript.shell.model import Act, Answer, Command, Talk, Word
from viscript.shell.parse import split_line, take_node

if TYPE_CHECKING:
    from viscript.shell.model import Caller

DONE, FAILED, ASKED_WRONGLY = 0, 1, 2
MAX_LINE = 65_536
"""Characters of a script's longest line; a longer one ends the script."""

JSON = "--json"


class LeaveError(Exception):
    """The person wants to leave the shell."""


def run_script(daemon: Caller, lines: TextIO, *, as_json: bool = False) -> int:
    """A command per line, all of them; the first failure's exit code is the script's."""
    result = DONE
    while line := lines.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith("\n"):
            return _fail(UsageError(f"a line has more than {MAX_LINE} characters"), as_json=as_json)
        try:
            code = run_line(daemon, line, as_json=as_json)
        except LeaveError:
            break
        result = result or code
    return result


def run_line(daemon: Caller, line: str, *, as_json: bool = False) -> int:
    """Raises LeaveError for `exit`."""
    try:
        words = split_line(line)
    except UsageError as error:
        return _fail(error, as_json=as_json)
    return run_words(daemon, words, as_json=as_json)


def run_words(daemon: Caller, words: list[str], *, as_json: bool = False) -> int:
    """Raises LeaveError for `exit`. No words are a blank line: nothing happens."""
    if not words:
        return DONE
    try:
        _check_text(words)
        asked_json, words = _take_json(words)
        as_json = as_json or asked_json
        answer = _run(Talk(daemon, as_json, screen.is_live()), find_command(words[0]), words[1:])
    except ViscriptError as error:
        return _fail(error, as_json=as_json)
    if answer.act is Act.EXIT:
        raise LeaveError
    _show(answer, as_json=as_json)
    return FAILED if answer.failed else DONE


def speak_safely() -> None:
    """Never fail on a byte that is no text or a character the terminal lacks."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if stream is not sys.stdin else "surrogateescape")


def _run(talk: Talk, command: Command, words: list[str]) -> Answer:
    node, bare = take_node(words) if command.words[:1] == (Word.APP_ID,) else (None, words)
    if node is not None:
        return run_on(talk, (node,), command, bare)
    return command.run(talk, words)


def _take_json(words: list[str]) -> tuple[bool, list[str]]:
    """Whether the last word asks for JSON: not where words are passed on to a program."""
    if words[-1] != JSON or len(words) == 1:
        return False, words
    named = words[2:3] if words[0] == "on" else words[:1]
    passes_on = any(name in BY_NAME and BY_NAME[name].passes_on for name in named)
    return (False, words) if passes_on else (True, words[:-1])


def _check_text(words: list[str]) -> None:
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"a word is not UTF-8 text: {word[:80]!r}") from None


def _show(answer: Answer, *, as_json: bool) -> None:
    if answer.act is Act.TOLD:
        return
    if as_json:
        screen.say_json(answer.data if answer.data is not None else {})
        return
    if answer.act is Act.CLEAR:
        screen.clear()
    for line in answer.lines:
        screen.say(line)
    for problem in answer.problems:
        screen.complain(problem)


def _fail(error: ViscriptError, *, as_json: bool) -> int:
    if as_json:
        screen.say_json({"error": {"code": error.code, "text": str(error)}})
    else:
        screen.complain(str(error))
    return ASKED_WRONGLY if isinstance(error, UsageError) or error.code == "usage" else FAILED
