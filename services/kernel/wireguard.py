"""The door to the kernel's own WireGuard, through pyroute2; the same interface as wireguard-go's in `uapi`."""

from __future__ import annotations

import contextlib
import errno
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

from services.kernel.errors import AbsentError, DoorError
from services.kernel.model import AllowedIp, Device, Endpoint, IpNetwork, LinkKind, Peer, Traffic
from services.kernel.netlink import Netlink
from services.kernel.pyroute import NetlinkError
from services.kernel.pyroute import WireGuard as Socket
from services.kernel.tunnels import Found

NETWORKS_A_MESSAGE = 1000  # their nested attribute must stay below 64 KiB


class WireGuard:
    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        with _told("the kernel has no WireGuard"):
            self._socket = Socket()

    def close(self) -> None:
        self._socket.close()

    def create(self, name: str) -> None:
        self._netlink.add_wireguard(name)

    def has(self, name: str) -> bool:
        return any(link.name == name and link.kind is LinkKind.WIREGUARD for link in self._netlink.links())

    def read(self, name: str) -> Iterator[Found]:
        seen: set[bytes] = set()
        for part in self._info(name):
            private_key = part.get("WGDEVICE_A_PRIVATE_KEY")
            if private_key and any(b64decode(private_key)) and not seen:
                port, mark = part.get("WGDEVICE_A_LISTEN_PORT", 0), part.get("WGDEVICE_A_FWMARK", 0)
                yield Device(name, b64decode(private_key), port, mark)
            for peer in part.get("WGDEVICE_A_PEERS") or ():
                public_key = _key(peer)
                if public_key not in seen:
                    seen.add(public_key)
                    keepalive_s = peer.get("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") or 0
                    yield Peer(name, public_key, _endpoint(peer), keepalive_s)
                for network in peer.get("WGPEER_A_ALLOWEDIPS") or ():
                    yield AllowedIp(name, ip_network(network["addr"]), public_key)

    def traffic(self, name: str) -> list[Traffic]:
        figures: dict[bytes, Traffic] = {}
        for peer in [peer for part in self._info(name) for peer in part.get("WGDEVICE_A_PEERS") or ()]:
            shaken = peer.get("WGPEER_A_LAST_HANDSHAKE_TIME")
            received, sent = peer.get("WGPEER_A_RX_BYTES") or 0, peer.get("WGPEER_A_TX_BYTES") or 0
            figure = Traffic(_key(peer), _endpoint(peer), shaken["tv_sec"] if shaken else 0, received, sent)
            figures.setdefault(figure.public_key, figure)
        return list(figures.values())

    def put_device(self, device: Device) -> None:
        with _told(f"cannot set up '{device.name}'"):
            private_key = b64encode(device.private_key).decode()
            self._socket.set(device.name, private_key=private_key, listen_port=device.port, fwmark=device.fwmark)

    def put_peer(self, peer: Peer) -> None:
        more: dict[str, object] = {"persistent_keepalive": peer.keepalive_s}
        if peer.endpoint is not None:
            more |= {"endpoint_addr": str(peer.endpoint.address), "endpoint_port": peer.endpoint.port}
        self._set(peer.device, peer.public_key, **more)

    def drop_peer(self, name: str, public_key: bytes) -> None:
        with contextlib.suppress(AbsentError):
            self._set(name, public_key, remove=True)

    def put_allowed(self, name: str, public_key: bytes, networks: Sequence[IpNetwork]) -> None:
        for start in range(0, len(networks), NETWORKS_A_MESSAGE):
            part = networks[start : start + NETWORKS_A_MESSAGE]
            self._set(name, public_key, allowed_ips=[str(network) for network in part])

    def _set(self, name: str, public_key: bytes, **more: object) -> None:
        with _told(f"cannot change a peer of '{name}'"):
            self._socket.set(name, peer={"public_key": b64encode(public_key).decode(), **more})

    def _info(self, name: str) -> list[Any]:
        with _told(f"cannot read '{name}'"):
            return list(self._socket.info(name))


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        absent = error.code in {errno.ENODEV, errno.ENOENT}
        raise (AbsentError if absent else DoorError)(f"{what}: {error.args[1]}") from error
    except OSError as error:
        raise DoorError(f"{what}: {error.strerror or error}") from error


def _key(peer: Any) -> bytes:
    return b64decode(peer.get("WGPEER_A_PUBLIC_KEY"))


def _endpoint(peer: Any) -> Endpoint | None:
    found = peer.get("WGPEER_A_ENDPOINT")
    return Endpoint(ip_address(found["addr"]), found["port"]) if found and found["port"] else None
