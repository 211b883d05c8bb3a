"""The words of skywire.yaml. Every key may be left out; what a word must be it checks itself, by a ValueError.

A secret that the board has taken stands in the file as underscores (`TAKEN`): it was used and is kept elsewhere.
"""

import re
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import Path
from typing import Any, Literal

import msgspec

ZONES = Path("/usr/share/zoneinfo")
TAKEN = re.compile(r"[_\s]+")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]{40,}={0,3}( [^\r\n]*)?"
)
INVITE = re.compile(r"skywire:[0-9a-f]{64}@\S+:\d{1,5}/[0-9a-f]{16}\.[A-Za-z0-9_-]{22}")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
NODE_ID = re.compile(r"[0-9a-f]{64}")
HEX_KEY = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
WORDS = 24


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all words share: a key that nobody knows is refused."""


class Wifi(Word, frozen=True):
    """One network. `password` is the pass phrase or its 64-digit key; without one the network is open."""

    ssid: str
    country: str | None = None
    password: str | None = None
    hidden: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.ssid.encode()) <= 32:
            raise ValueError("'ssid' must be 1 to 32 bytes")
        if self.country is not None and not re.fullmatch(r"[A-Za-z]{2}", self.country):
            raise ValueError("'country' must be two letters, such as DE")
        if self.password is None or is_taken(self.password) or HEX_KEY.fullmatch(self.password):
            return
        if not 8 <= len(self.password.encode()) <= 63:
            raise ValueError("'password' must be 8 to 63 characters")


class Interface(Word, frozen=True):
    """A fixed address, such as 192.0.2.5/24, and what goes with it."""

    address: str | list[str]
    gateway: str | list[str] = []
    dns: str | list[str] = []

    def __post_init__(self) -> None:
        for text in listed(self.address):
            if "/" not in text:
                raise ValueError(f"'address' needs its prefix length, such as {text}/24")
        addresses = [ip_interface(text) for text in listed(self.address)]
        for text in listed(self.dns):
            ip_address(text)
        for text in listed(self.gateway):
            _check_gateway(text, addresses)


def _check_gateway(text: str, addresses: list[IPv4Interface | IPv6Interface]) -> None:
    """A gateway that no address is beside is never reached. An IPv6 one may lie in what a router announces."""
    gateway = ip_address(text)
    beside = [one for one in addresses if one.version == gateway.version]
    if gateway.version == 6 and (gateway.is_link_local or not beside):
        return
    if any(gateway in one.network for one in beside):
        return
    networks = ", ".join(str(one.network) for one in beside) or "an IPv4 address is missing"
    raise ValueError(f"'gateway' must lie in the network of 'address' ({networks})")


class Settings(Word, frozen=True):
    """The whole file. Each value of `network` becomes an `Interface` where the file is read; `gpio`, `onboard_led` and
    `watchdog` are the board file's, which checks them itself.
    """

    name: str | None = None
    ssh_keys: str | list[str] = []
    time_zone: str | None = None
    wifi: Wifi | None = None
    network: dict[str, Any] = {}
    invite: str | None = None
    role: Literal["member", "manager", "both"] | None = None
    admit: str | list[str] = []
    identity: str | None = None
    gpio: Any = None
    onboard_led: Any = None
    watchdog: Any = None

    def __post_init__(self) -> None:
        if self.name is not None and not NAME.fullmatch(self.name):
            raise ValueError("'name' must be 1 to 63 letters, digits and inner hyphens")
        for key in listed(self.ssh_keys):
            if not KEY.fullmatch(key.strip()):
                raise ValueError("'ssh_keys' must be public keys, as in ~/.ssh/id_ed25519.pub")
        if self.time_zone is not None and not is_zone(self.time_zone):
            raise ValueError("'time_zone' must be a name of the tz database, such as Europe/Berlin")
        self._check_mesh()

    def _check_mesh(self) -> None:
        for name in self.network:
            if not INTERFACE.fullmatch(name):
                raise ValueError("'network' must name interfaces: ethernet, wifi, or a name such as eth0")
        if self.invite is not None and not is_taken(self.invite) and not INVITE.fullmatch(self.invite.strip()):
            raise ValueError("'invite' must be the whole text that `manager invite` printed (skywire:…)")
        for node_id in listed(self.admit):
            if not NODE_ID.fullmatch(node_id):
                raise ValueError("'admit' must be node ids: 64 hexadecimal digits, as `node identity show` prints them")
        if self.identity is not None and not is_taken(self.identity) and count_words(self.identity) != WORDS:
            raise ValueError(f"'identity' must be {WORDS} words, not {count_words(self.identity)}")


SECRETS = (("wifi", "password"), ("invite",), ("identity",))
BOARD_KEYS = ("gpio", "onboard_led", "watchdog")


def is_taken(secret: str) -> bool:
    return TAKEN.fullmatch(secret) is not None


def is_zone(name: str) -> bool:
    parts = Path(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and _is_tz_file(ZONES / name)


def _is_tz_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"TZif"
    except OSError:
        return False


def listed(words: str | list[str]) -> list[str]:
    """One word stands for a list of one."""
    return [words] if isinstance(words, str) else words


def count_words(text: str) -> int:
    return len(re.findall(r"[A-Za-z]+", text))
