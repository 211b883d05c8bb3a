"""`python -I -m viscript.shell.ssh`: what a board's restricted login runs, as sshd's ForceCommand.

With SSH_ORIGINAL_COMMAND it runs exactly one viscript line; on a terminal it is the interactive shell; else
it reads lines from its input. The environment is not trusted: all but a few words are dropped before
anything else is loaded, the socket is fixed, and no file is written. Nothing here starts a process.
"""

# ruff: noqa: PLC0415, T201 (nothing is loaded before the environment is clean; this is the shell)
from __future__ import annotations

import os
import signal as process_signals
import sys

KEPT = frozenset({"TERM", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR", "SSH_ORIGINAL_COMMAND"})
MAX_LINE = 65_536
TERM_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+._")
SYSTEM_PATH = "/usr/bin:/bin"


def main() -> None:
    line = _take_environment()
    process_signals.signal(process_signals.SIGTSTP, process_signals.SIG_IGN)
    try:
        sys.exit(_serve(line))
    except KeyboardInterrupt:
        sys.exit(1)
    except OSError as error:
        # Mostly the caller went away; there is nobody left to tell, not even at the interpreter's own last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"cannot write the answer: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _take_environment() -> str | None:
    """Drop what the caller set; returns the one line asked for, if any."""
    line = os.environ.get("SSH_ORIGINAL_COMMAND")
    for name in tuple(os.environ):
        if name not in KEPT or (name == "TERM" and not TERM_LETTERS.issuperset(os.environ[name])):
            del os.environ[name]
    os.environ.pop("SSH_ORIGINAL_COMMAND", None)
    os.environ["PATH"] = SYSTEM_PATH
    return line


def _serve(line: str | None) -> int:
    from viscript.api.client import ApiClient
    from viscript.paths import RUN_SOCKET
    from viscript.shell.run import ASKED_WRONGLY, LeaveError, run_line, run_script, speak_safely

    speak_safely()
    daemon = ApiClient(RUN_SOCKET)
    if line is not None:
        if "\n" in line or len(line) > MAX_LINE:
            print("one line, please", file=sys.stderr)
            return ASKED_WRONGLY
        try:
            return run_line(daemon, line)
        except LeaveError:
            return 0
    if sys.stdin.isatty() and sys.stdout.isatty():
        from viscript.shell.interactive import run_interactive

        return run_interactive(daemon, history=None)
    return run_script(daemon, sys.stdin)


if __name__ == "__main__":
    main()
