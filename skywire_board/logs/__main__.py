"""Copies the log that comes on standard input to the card. Run hourly, and when the board goes down (`--always`)."""

import argparse
import sys
from pathlib import Path

from skywire_board.errors import BoardError

FOLDER, MEMORY = Path("/data/log"), Path("/run/skywire/log-copied")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    parser = argparse.ArgumentParser(prog="python -m skywire_board.logs", description="Copy the log to the card.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--memory", type=Path, default=MEMORY, help="what was copied last, in RAM")
    parser.add_argument("--always", action="store_true", help="also when nothing is new")
    asked = parser.parse_args()
    from skywire_board.logs.copies import copy

    try:
        copy(sys.stdin.buffer.read(), asked.folder, BOOT_ID.read_text(), asked.memory, always=asked.always)
    except BoardError as error:
        print(f"skywire-board: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
