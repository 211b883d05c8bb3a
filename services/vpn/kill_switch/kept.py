"""That the kill switch was on, for the next boot: its rules on the card, as they were loaded. The kernel forgets them
with the power, and whoever set them meant until told otherwise; `kill-switch restore` loads them before any network.
"""

from __future__ import annotations

from pathlib import Path

from services.node.errors import KeptError as NodeKeptError
from services.node.kept import Kept
from services.vpn.errors import KeptError
from services.vpn.kill_switch.rules import Rules

FILE = "kill-switch"
NAMED_IN = "vpn-client.yaml: card"


def remember(folder: Path, rules: Rules) -> None:
    """Written only where it differs. Raises KeptError."""
    try:
        kept = Kept(folder, durable=True, named_in=NAMED_IN)
        if kept.read(FILE, Rules) != rules:
            kept.write(FILE, rules)
    except NodeKeptError as error:
        raise KeptError(str(error)) from None


def recall(folder: Path) -> Rules | None:
    """None where it was off. Whoever loads it may read more files than whoever wrote it: it names none. Raises
    KeptError.
    """
    try:
        found = Kept(folder, named_in=NAMED_IN).read(FILE, Rules) if folder.is_dir() else None
    except NodeKeptError as error:
        raise KeptError(str(error)) from None
    if found is not None and "include" in found.text:
        raise KeptError(
            f"'{folder / FILE}.json' is none of ours: remove it, then run: meshnet-vpn-client kill-switch on"
        )
    return found


def forget(folder: Path) -> None:
    """Raises KeptError."""
    try:
        if folder.is_dir():
            Kept(folder, durable=True, named_in=NAMED_IN).remove(FILE)
    except NodeKeptError as error:
        raise KeptError(str(error)) from None
