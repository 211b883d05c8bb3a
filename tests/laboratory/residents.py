"""Who lives on the hosts: an identity for each, drawn before the start, so that addresses and ids are known to all
files that the lab writes. The seed lies where `node` looks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.addresses import session_address
from services.keys import Identity, new_seed
from services.secrecy import Secret
from services.seed_file import create

SEED = Path(".local/share/skywire/identity/seed")
"""Under the host's folder, which is its programs' HOME."""


@dataclass(frozen=True, slots=True)
class Resident:
    """`address` is that of its sessions."""

    seed: Secret
    node_id: str
    address: str


def draw_residents(hosts: Iterable[str]) -> dict[str, Resident]:
    return {host: _draw() for host in hosts}


def settle(resident: Resident, folder: Path) -> None:
    create(folder / SEED, resident.seed)


def _draw() -> Resident:
    seed = new_seed()
    identity = Identity(seed)
    try:
        return Resident(seed, identity.node_id, str(session_address(identity.node_id)))
    finally:
        identity.wipe()
