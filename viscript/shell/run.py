"""Runs one line: finds the command, prints the answer, gives the exit code. Used by every way into the shell.

Exit codes: 0 done, 1 failed, 2 asked wrongly.
"""

# ruff: noqa: T201 (the shell speaks here and nowhere else)
from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

import msgspec

from viscript.errors import UsageError, ViscriptError
from viscript.shell.commands import BY_NAME
from viscript.shell.model import Act, Answer
from viscript.shell.parse import split_line
from viscript.shell.render import plain

if TYPE_CHECKING:
    from viscript.api.client import ApiClient

DONE, FAILED, ASKED_WRONGLY = 0, 1, 2
MAX_LINE = 65_536
"""Characters of a script's longest line; a longer one ends the script."""

RED, RESET, CLEAR_SCREEN = "\x1b[31m", "\x1b[0m", "\x1b[2J\x1b[H"


class LeaveError(Exception):
    """The person wants to leave the shell."""


def run_script(daemon: ApiClient, lines: TextIO, *, as_json: bool = False) -> int:
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


def run_line(daemon: ApiClient, line: str, *, as_json: bool = False) -> int:
    """Raises LeaveError for `exit`."""
    try:
        words = split_line(line)
    except UsageError as error:
        return _fail(error, as_json=as_json)
    return run_words(daemon, words, as_json=as_json)


def run_words(daemon: ApiClient, words: list[str], *, as_json: bool = False) -> int:
    """Raises LeaveError for `exit`. No words are a blank line: nothing happens."""
    if not words:
        return DONE
    try:
        _check_text(words)
        command = BY_NAME.get(words[0])
        if command is None:
            raise UsageError(_explain_unknown(words[0]))
        answer = command.run(daemon, words[1:])
    except ViscriptError as error:
        return _fail(error, as_json=as_json)
    if answer.act is Act.EXIT:
        raise LeaveError
    _show(answer, as_json=as_json)
    return DONE


def speak_safely() -> None:
    """Never fail on a byte that is no text or a character the terminal lacks."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if stream is not sys.stdin else "surrogateescape")


def _check_text(words: list[str]) -> None:
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"a word is not UTF-8 text: {word[:80]!r}") from None


def _show(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        _print(msgspec.json.encode(answer.data if answer.data is not None else {}).decode())
        return
    if answer.act is Act.CLEAR and sys.stdout.isatty():
        sys.stdout.write(CLEAR_SCREEN)
        sys.stdout.flush()
    for line in answer.lines:
        _print(line)


def _fail(error: ViscriptError, *, as_json: bool) -> int:
    if as_json:
        _print(msgspec.json.encode({"error": {"code": error.code, "text": str(error)}}).decode())
    else:
        text = "\n".join(plain(line) for line in str(error).split("\n"))
        coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        print(f"{RED}{text}{RESET}" if coloured else text, file=sys.stderr, flush=True)
    return ASKED_WRONGLY if isinstance(error, UsageError) or error.code == "usage" else FAILED


def _print(text: str) -> None:
    print(text, flush=True)


def _explain_unknown(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 (only for the rare mistake)

    near = get_close_matches(word, BY_NAME, n=1)
    text = f'"{word[:80]}" is an unknown command.'
    return f"{text}\nDid you mean '{near[0]}'?" if near else text
