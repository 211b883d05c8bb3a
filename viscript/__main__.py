"""The `viscript` command: reads the process's own arguments and hands over. Everything else is loaded when
needed.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from viscript.errors import ViscriptError

if TYPE_CHECKING:
    from pathlib import Path

    from viscript.api.client import ApiClient


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@click.option("--socket", "socket_path", help="The daemon's socket (default: VISCRIPT_SOCKET, or found).")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND [ARGUMENT]...]")
def shell(as_json: bool, socket_path: str | None, words: tuple[str, ...]) -> None:
    """Viscript's shell. With words it runs that one command; 'viscript help' lists them.

    'viscript headless' is the daemon; see 'viscript headless --help'.

    \b
    Examples:
      viscript                                    an interactive shell
      viscript start apptracker 127.0.0.1:20000   one command
      viscript status --json                      for programs
      viscript < script                           a command per line
    """
    from pathlib import Path

    from viscript.api.client import ApiClient
    from viscript.paths import shell_socket
    from viscript.shell.run import LeaveError, run_script, run_words, speak_safely

    speak_safely()
    path = Path(socket_path) if socket_path else shell_socket()
    daemon = ApiClient(path)
    try:
        if words:
            sys.exit(run_words(daemon, list(words), as_json=as_json))
        if sys.stdin.isatty() and sys.stdout.isatty():
            sys.exit(_talk(daemon, path))
        sys.exit(run_script(daemon, sys.stdin, as_json=as_json))
    except LeaveError:
        sys.exit(0)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's own last flush
        if not isinstance(error, BrokenPipeError):
            print(f"cannot write the answer: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _talk(daemon: ApiClient, path: Path) -> int:
    from viscript.paths import RUN_SOCKET, user_history
    from viscript.shell.interactive import run_interactive

    mend = None if path == RUN_SOCKET else partial(_start_daemon, path)
    return run_interactive(daemon, user_history(), mend)


def _start_daemon(path: Path) -> None:
    from viscript.shell.away import start_daemon

    start_daemon(path)


def main() -> None:
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["headless"]:
            from viscript.headless_options import headless

            headless.main(arguments[1:], prog_name="viscript headless")
        shell.main(arguments, prog_name="viscript")
    except ViscriptError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
