"""Is somebody's key on the board?"""

from pathlib import Path

from skywire_board.model import Claim, Finding

CLAIMED = Path("/run/skywire/claimed")


def check_claim(path: Path = CLAIMED) -> Finding:
    """The file is there as long as a key lets somebody in."""
    return Finding(fact=Claim(path.exists()))
