"""The words of a flash: what a card is to be given. Secrets are in them, so they are never printed as a whole."""

import msgspec

from image.errors import FlashError


class Identity(msgspec.Struct, frozen=True):
    """A board's node id, and the 24 words that it is."""

    node_id: str
    words: str


class Address(msgspec.Struct, frozen=True):
    """`[interface=]address/length[,gateway[,dns…]]`; without an interface it is the cable's."""

    interface: str
    address: str
    gateway: str | None = None
    dns: tuple[str, ...] = ()


class Wifi(msgspec.Struct, frozen=True):
    ssid: str
    password: str | None = None
    country: str | None = None


class Personal(msgspec.Struct, frozen=True):
    """What skywire.yaml will say; whatever is None or empty is left to the board's defaults."""

    name: str | None = None
    ssh_keys: tuple[str, ...] = ()
    time_zone: str | None = None
    wifi: Wifi | None = None
    addresses: tuple[Address, ...] = ()
    invite: str | None = None
    role: str | None = None
    identity: str | None = None
    admit: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Personal()


def read_address(text: str) -> Address:
    """FlashError when it is not of that form; whether the addresses are any is for the board's own check."""
    interface, equals, rest = text.rpartition("=")
    words = rest.split(",")
    if "/" not in words[0] or not all(words) or (equals and not interface):
        raise FlashError(
            f"'{text}' is not [interface=]address/length[,gateway[,dns…]], such as 192.168.1.50/24,192.168.1.1"
        )
    return Address(interface or "ethernet", words[0], words[1] if words[1:] else None, tuple(words[2:] or words[1:2]))
