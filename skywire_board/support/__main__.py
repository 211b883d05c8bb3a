"""Answers the connection that is its standard input with an archive; a unit runs it for each. Or writes one to a file:
`python -m skywire_board.support --write FILE`.
"""

import argparse
import contextlib
import os
import re
import socket
import sys
from pathlib import Path

import msgspec

from skywire_board.errors import BoardError, SupportError
from skywire_board.support.collect import make_archive
from skywire_board.support.words import MAX_LINE, Made, Make, Refused

ASK_WITHIN_S = 10.0
SEND_WITHIN_S = 120.0


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    parser = argparse.ArgumentParser(prog="python -m skywire_board.support")
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--folder", type=Path, default=Path("/run/skywire/support"), help="where archives are kept")
    parser.add_argument("--write", type=Path, help="write one there, and answer nobody")
    asked = parser.parse_args()
    try:
        if asked.write:
            asked.write.write_bytes(make_archive(asked.root))
            return
        with socket.socket(fileno=os.dup(sys.stdin.fileno())) as asker:
            _answer(asker, asked.root, asked.folder)
    except (BoardError, OSError) as error:
        print(f"support: {error}", file=sys.stderr)
        sys.exit(1)


def _answer(asker: socket.socket, root: Path, folder: Path) -> None:
    asker.settimeout(ASK_WITHIN_S)
    try:
        with asker.makefile("rb") as file:
            make = msgspec.json.decode(file.readline(MAX_LINE), type=Make)
    except msgspec.DecodeError as error:
        asker.sendall(msgspec.json.encode(Refused(f"that is no request: {error}")) + b"\n")
        return
    asker.settimeout(SEND_WITHIN_S)
    archive, name = make_archive(root), f"skywire-{re.sub('[^A-Za-z0-9-]', '-', socket.gethostname())}.tar.gz"
    try:
        path = str(_keep(archive, folder / name)) if make.keep else ""
    except SupportError as error:
        asker.sendall(msgspec.json.encode(Refused(str(error))) + b"\n")
        return
    asker.sendall(msgspec.json.encode(Made(name, len(archive), path)) + b"\n")
    if not path:
        asker.sendall(archive)


def _keep(archive: bytes, path: Path) -> Path:
    """One at a time, for admin to fetch."""
    try:
        for old in path.parent.iterdir():
            old.unlink()
        path.write_bytes(archive)
        path.chmod(0o640)
        with contextlib.suppress(PermissionError):  # not the group's member: root fetches it
            os.chown(path, -1, path.parent.stat().st_gid)
    except OSError as error:
        raise SupportError(f"cannot keep the archive at '{path}': {error.strerror}") from error
    return path


if __name__ == "__main__":
    main()
