"""`python -m skywire_board.setup`: `apply` is what skywire-setup.service does at boot, `check` looks at files.

`apply` reads its one option by hand: the boot waits for it, and on a small board each import counts.
"""

import logging
import sys
from pathlib import Path

from skywire_board.boards import BOARDS_PATH, find_board, read_compatible
from skywire_board.errors import BoardError

BOOT = "/boot/firmware"


def apply(boot: Path) -> None:
    """Carry out what the boot partition says, and overwrite its secrets."""
    from skywire_board.setup import apply as setup
    from skywire_board.setup.card import Card, find_partition
    from skywire_board.setup.programs import Identity, restart_supervisor

    board = find_board(BOARDS_PATH, read_compatible())
    card = Card(find_partition(boot))
    setup.apply(setup.Places(Path("/"), boot, card, board, Identity(), restart_supervisor))


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:]
    try:
        if words in (["apply"], ["apply", "--boot", *words[2:3]]):
            apply(Path(*words[2:3] or [BOOT]))
            return
        from skywire_board.setup.commands import cli

        cli.main(prog_name="python -m skywire_board.setup")
    except BoardError as error:
        print(f"<3>{error}" if words[:1] == ["apply"] else f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
