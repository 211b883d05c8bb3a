"""The door to wireguard-go: its UAPI socket, lines of `key=value` with an empty line at the end."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

from services.kernel import wireguard_go
from services.kernel.errors import DoorError
from services.kernel.model import AllowedIp, Device, Endpoint, IpNetwork, Peer, Traffic
from services.kernel.tunnels import Found

DEADLINE_S = 10.0
NETWORKS_A_REQUEST = 2000

Lines = list[tuple[str, str]]


class Uapi:
    """A connection to each interface, kept open: a request then costs no more than the work."""

    def __init__(self, folder: Path = wireguard_go.SOCKETS) -> None:
        self._folder = folder
        self._connections: dict[str, socket.socket] = {}

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def create(self, name: str) -> None:
        self._forget(name)
        wireguard_go.start(name)
        self._set(name, [])  # it sets its own MTU before it answers, and would do so over ours

    def has(self, name: str) -> bool:
        try:
            self._set(name, [])
        except DoorError:
            return False
        return True

    def read(self, name: str) -> Iterator[Found]:
        device: dict[str, str] = {}
        peers = list(_by_peer(self._ask(name, "get=1\n\n"), device))
        if "private_key" in device:
            port, mark = int(device.get("listen_port", "0")), int(device.get("fwmark", "0"))
            yield Device(name, bytes.fromhex(device["private_key"]), port, mark)
        for lines in peers:
            values = dict(lines)
            public_key = bytes.fromhex(values["public_key"])
            yield Peer(name, public_key, _endpoint(values), int(values.get("persistent_keepalive_interval", "0")))
            yield from (AllowedIp(name, ip_network(value), public_key) for key, value in lines if key == "allowed_ip")

    def traffic(self, name: str) -> list[Traffic]:
        return [
            Traffic(
                bytes.fromhex(values["public_key"]),
                _endpoint(values),
                int(values.get("last_handshake_time_sec", "0")),
                int(values.get("rx_bytes", "0")),
                int(values.get("tx_bytes", "0")),
            )
            for values in map(dict, _by_peer(self._ask(name, "get=1\n\n"), {}))
        ]

    def put_device(self, device: Device) -> None:
        lines = [f"private_key={device.private_key.hex()}", f"listen_port={device.port}", f"fwmark={device.fwmark}"]
        self._set(device.name, lines)

    def put_peer(self, peer: Peer) -> None:
        lines = [f"public_key={peer.public_key.hex()}"]
        if peer.endpoint is not None:
            address = peer.endpoint.address
            host = f"[{address}]" if address.version == 6 else str(address)
            lines.append(f"endpoint={host}:{peer.endpoint.port}")
        self._set(peer.device, [*lines, f"persistent_keepalive_interval={peer.keepalive_s}"])

    def drop_peer(self, name: str, public_key: bytes) -> None:
        self._set(name, [f"public_key={public_key.hex()}", "remove=true"])

    def put_allowed(self, name: str, public_key: bytes, networks: Sequence[IpNetwork]) -> None:
        for start in range(0, len(networks), NETWORKS_A_REQUEST):
            part = networks[start : start + NETWORKS_A_REQUEST]
            self._set(name, [f"public_key={public_key.hex()}", *(f"allowed_ip={network}" for network in part)])

    def _set(self, name: str, lines: Sequence[str]) -> None:
        self._ask(name, "\n".join(["set=1", *lines, "", ""]))

    def _ask(self, name: str, request: str) -> Lines:
        """One answer; a connection that wireguard-go has closed meanwhile is opened anew, once."""
        fresh = name not in self._connections
        try:
            return _exchange(self._connection(name), request)
        except (ConnectionError, EOFError) as error:
            self._forget(name)
            if fresh:
                raise DoorError(f"wireguard-go of '{name}' went away: look at its process") from error
            return self._ask(name, request)
        except OSError as error:
            self._forget(name)
            reason = error.strerror or str(error)
            raise DoorError(f"cannot reach wireguard-go of '{name}': {reason}") from error
        except _RefusedError as error:
            raise DoorError(f"wireguard-go of '{name}' refused: {error}") from error

    def _connection(self, name: str) -> socket.socket:
        if name not in self._connections:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(DEADLINE_S)
            self._connections[name] = connection
            connection.connect(str(self._folder / f"{name}.sock"))
        return self._connections[name]

    def _forget(self, name: str) -> None:
        with contextlib.suppress(KeyError):
            self._connections.pop(name).close()


class _RefusedError(Exception):
    pass


def _exchange(connection: socket.socket, request: str) -> Lines:
    connection.sendall(request.encode())
    answer = bytearray()
    while not answer.endswith(b"\n\n"):
        part = connection.recv(1 << 18)
        if not part:
            raise EOFError
        answer += part
    lines = [(key, value) for key, _, value in (line.partition("=") for line in answer.decode().split("\n") if line)]
    number = abs(int(lines.pop()[1]))
    if number:
        raise _RefusedError(os.strerror(number))
    return lines


def _by_peer(lines: Lines, device: dict[str, str]) -> Iterator[Lines]:
    """Each peer's lines; what stands before the first is put into `device`."""
    peer: Lines = []
    for key, value in lines:
        if key == "public_key":
            if peer:
                yield peer
            peer = []
        elif not peer:
            device[key] = value
            continue
        peer.append((key, value))
    if peer:
        yield peer


def _endpoint(values: dict[str, str]) -> Endpoint | None:
    if "endpoint" not in values:
        return None
    host, _, port = values["endpoint"].rpartition(":")
    return Endpoint(ip_address(host.strip("[]")), int(port))
