"""The `viscript` command: reads the process's own arguments and hands over. Everything else is loaded when
needed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from viscript.errors import DaemonAwayError, ViscriptError

if TYPE_CHECKING:
    from pathlib import Path

    from viscript.api.client import ApiClient


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@click.option("--socket", "socket_path", help="The daemon's socket (default: VISCRIPT_SOCKET, or found).")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def shell(as_json: bool, socket_path: str | None, words: tuple[str, ...]) -> None:
    """Viscript's shell. With words it runs that one command; 'viscript help' lists them.

    'viscript headless' is the daemon; see 'viscript headless --help'.
    """
    from pathlib import Path

    from viscript.api.client import ApiClient
    from viscript.paths import shell_socket
    from viscript.shell.run import LeaveError, run_script, run_words, speak_safely

    speak_safely()
    path = Path(socket_path) if socket_path else shell_socket()
    daemon = ApiClient(path)
    arguments = list(words)
    if arguments[-1:] == ["--json"] and arguments[0] not in {"start", "s"}:
        arguments.pop()
        as_json = True
    try:
        if arguments:
            sys.exit(run_words(daemon, arguments, as_json=as_json))
        if sys.stdin.isatty() and sys.stdout.isatty():
            sys.exit(_talk(daemon, path))
        sys.exit(run_script(daemon, sys.stdin, as_json=as_json))
    except LeaveError:
        sys.exit(0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _talk(daemon: ApiClient, path: Path) -> int:
    from viscript.api.client import ApiClient
    from viscript.api.model import AskStatus, Status
    from viscript.paths import user_history
    from viscript.shell.interactive import run_interactive

    try:
        status = daemon.call(AskStatus(), Status)
        print(f"Viscript {status.version}. Type 'help' for the commands.")
    except DaemonAwayError as error:
        print(error, file=sys.stderr)
    return run_interactive(daemon, ApiClient(path), user_history())


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
