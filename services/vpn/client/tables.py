"""The door to the client's nftables tables, but for the kill switch. Its calls block for some milliseconds."""

from __future__ import annotations

from services.kernel.nft_library import Library
from services.vpn.client import gateway, redirect


def run(text: str) -> None:
    """One transaction. Raises DoorError."""
    library = Library()
    try:
        library.run(text)
    finally:
        library.close()


def has(name: str) -> bool:
    """Whether there is a table of that name, of the family inet. Raises DoorError."""
    library = Library()
    try:
        return any(one.table and one.table.name == name for one in library.list("tables inet"))
    finally:
        library.close()


def drop_all() -> None:
    """Raises DoorError."""
    run(gateway.drop_text() + redirect.drop_text())
