"""`door` answers the connection that is its standard input, `settle` puts a waiting identity in its place. Units run
both.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from services.errors import IdentityError

LAID = 10
"""The door's exit code when another identity was laid down by this question: its unit restarts the board."""


def main() -> None:
    """Exit codes: 0 done, 1 failed, 2 asked wrongly, LAID."""
    parser = argparse.ArgumentParser(prog="python -m services.identity")
    parser.add_argument("what", choices=("door", "settle"))
    parser.add_argument("--folder", type=Path, default=Path("/data/identity"), help="where the seed lies")
    parser.add_argument("--mesh", type=Path, default=Path("/data/mesh"), help="what node, manager and messenger keep")
    parser.add_argument("--user", action="append", default=[], help="who may ask the door, beside root")
    asked = parser.parse_args()
    from services.secrecy import hide_process

    hide_process()
    try:
        if asked.what == "door":
            from services.identity.door import answer_one

            with socket.socket(fileno=sys.stdin.fileno()) as asker:
                if answer_one(asker, asked.folder, asked.user):
                    sys.exit(LAID)
        else:
            from services.identity.settle import settle

            print(f"this board is node {settle(asked.folder, asked.mesh)} now")
    except (IdentityError, OSError) as error:
        print(f"identity: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
