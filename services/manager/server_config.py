"""What nats-server is told, as a value and as its file. Pure. Its syntax takes JSON, so nothing needs quoting by hand.

It listens on the manager's session address: one port for clients and, in a cluster, one for the other managers. No
monitoring port, no websocket, no gateway, no leaf nodes: what is not named here does not listen.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import msgspec

from services.manager.credentials import MAX_PAYLOAD

Address = IPv4Address | IPv6Address

CLIENT_PORT, ROUTE_PORT = 4222, 6222
MEMORY_STORE, FILE_STORE = 80 << 20, 1408 << 20
"""Above what all streams may fill together and the largest once more: the server counts a stream again when it is
opened again, and refuses what would not fit then."""


class Settings(msgspec.Struct, frozen=True):
    """`others` are the cluster's other managers by session address: none, or two and more."""

    name: str
    address: Address
    folder: Path
    operator: str
    system_account: str
    accounts: dict[str, str]
    route_password: str = ""
    others: tuple[Address, ...] = ()


def client_url(address: Address) -> str:
    return f"nats://{_at(address, CLIENT_PORT)}"


def config_text(settings: Settings) -> str:
    config: dict[str, object] = {
        "server_name": settings.name,
        "listen": _at(settings.address, CLIENT_PORT),
        "operator": settings.operator,
        "system_account": settings.system_account,
        "resolver": "MEMORY",
        "resolver_preload": settings.accounts,
        "jetstream": {
            "store_dir": str(settings.folder / "jetstream"),
            "max_memory_store": MEMORY_STORE,
            "max_file_store": FILE_STORE,
        },
        "max_payload": 3 * MAX_PAYLOAD,
        "max_control_line": 8192,
        "max_connections": 16384,
        "max_pending": 32 << 20,
        "write_deadline": "5s",
        "ping_interval": "20s",
        "ping_max": 2,
        "logtime": False,
    }
    if settings.others:
        config["cluster"] = {
            "name": "skywire",
            "listen": _at(settings.address, ROUTE_PORT),
            "authorization": {"user": "route", "password": settings.route_password, "timeout": 5},
            "routes": [f"nats-route://route:{settings.route_password}@{_at(at, ROUTE_PORT)}" for at in settings.others],
            "no_advertise": True,
        }
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode() + "\n"


def read_accounts(text: bytes) -> dict[str, str]:
    """The account tokens of a configuration that `config_text` made; none of any other."""
    try:
        return msgspec.json.decode(text, type=_Kept).resolver_preload
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


class _Kept(msgspec.Struct):
    resolver_preload: dict[str, str]


def _at(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
