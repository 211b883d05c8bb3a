"""Marks the data partition as new. Its unit restarts the board when this has succeeded; nothing else runs it."""

import argparse
import sys
from pathlib import Path

from skywire_board.errors import BoardError

CARD = Path("/run/skywire/card")  # the initramfs links it to the card it booted from


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    parser = argparse.ArgumentParser(prog="python -m skywire_board.reset", description="Forget everything.")
    parser.add_argument("--card", type=Path, default=CARD, help="card or image file")
    card: Path = parser.parse_args().card
    from skywire_board.client import tell
    from skywire_board.reset.card import mark_new

    try:
        tell("reset", "resetting", "factory reset: identity and data are forgotten; the board restarts")
        changed = mark_new(card)
    except BoardError as error:
        tell("reset", "refused", f"no factory reset: {error}")
        print(f"reset: {error}", file=sys.stderr)
        sys.exit(1)
    print("the data partition is made anew at the next boot" + ("" if changed else ", as was decided before"))


if __name__ == "__main__":
    main()
