"""`window` is what a short press starts, `visit` is what sshd runs for a key that is not known yet.

Both take their places as options, for a machine that is no board.
"""

import argparse
import logging
import os
import pwd
import sys
from pathlib import Path

from skywire_board.errors import BoardError

DATA_FAULT = Path("/run/skywire/data-fault")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    asked = _read_options()
    try:
        if asked.what == "window":
            _window(asked)
        else:
            _visit(asked)
    except BoardError as error:
        print(f"claim: {error}", file=sys.stderr)
        sys.exit(1)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m skywire_board.claim")
    parser.add_argument("what", choices=("window", "visit"))
    parser.add_argument("--socket", type=Path, default=Path("/run/skywire/claim/claim.sock"))
    parser.add_argument("--user", default="admin", help="who may claim")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the window is open")
    parser.add_argument("--boot", type=Path, default=Path("/boot/firmware/authorized_keys"))
    parser.add_argument("--owner", type=Path, default=Path("/data/owner/authorized_keys.d"))
    parser.add_argument("--run", type=Path, default=Path("/run/skywire"))
    parser.add_argument("--board", type=Path, default=Path("/run/skywire/board/board.sock"))
    return parser.parse_args()


def _window(asked: argparse.Namespace) -> None:
    from skywire_board.claim.pinning import Places
    from skywire_board.claim.window import Window, keep_open

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    keep_open(Window(asked.socket, asked.user, asked.seconds, asked.board), Places(asked.boot, asked.owner, asked.run))


def _visit(asked: argparse.Namespace) -> None:
    from skywire_board.claim.visit import ask_to_be_pinned, shell_words

    fingerprint = ask_to_be_pinned(os.environ, asked.socket)
    print(
        f"This board is yours now: key {fingerprint} opens admin@ and viscript@, and no other key does.",
        file=sys.stderr,
        flush=True,
    )
    if DATA_FAULT.exists():
        print("It has no data partition now: this is forgotten when it is switched off.", file=sys.stderr, flush=True)
    line = os.environ.get("SSH_ORIGINAL_COMMAND")
    if line == "internal-sftp":
        sys.exit(1)  # a client that copies asks once more, and then has its files
    shell = pwd.getpwuid(os.getuid()).pw_shell
    os.execv(shell, shell_words(shell, line))  # noqa: S606  # the login's own shell, whose key is known now


if __name__ == "__main__":
    main()
