"""The node beside a manager, without a kernel: a real socket, the real words, the real rules, and a memory.

It refuses what a node refuses: ids and addresses that are none, an unmember of who is no member; and what it does not
know. `forget` is a reboot: nothing is remembered, and connections end.
"""

import asyncio
from ipaddress import ip_address
from pathlib import Path

import msgspec

from services.addresses import session_address
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.lines import encode
from services.node import api_words as words
from services.node.api_wire import LineReader, read_request
from services.node.errors import ApiError
from services.setting_words import ProtocolPort


class FakeLocalNode:
    def __init__(self, path: Path, node_id: NodeId) -> None:
        self.path, self.node_id = path, node_id
        self.members: dict[str, tuple[str, ...]] = {}
        self.managers: dict[str, str] = {}
        self.borders: dict[str, tuple[str, ...]] = {}
        self.renewed: list[str] = []
        self.outside: dict[asyncio.StreamWriter, tuple[str, ...]] = {}
        """The ports let in, as long as the connection lives."""
        self.seen = words.Seen({}, {})
        self.offered: tuple[words.ServiceState, ...] = ()
        """In the mesh, by others."""
        self.finds = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None
            self.path.unlink(missing_ok=True)

    async def forget(self) -> None:
        """A reboot."""
        await self.stop()
        self.members.clear()
        self.managers.clear()
        self.borders.clear()
        await self.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = LineReader()
        self._open.add(writer)
        try:
            while data := await reader.read(65536):
                for line in lines.feed(data):
                    writer.write(encode(self._answer(line, writer)))
                await writer.drain()
        except (OSError, asyncio.CancelledError):  # the loop ends; streams would complain of a cancelled task
            pass
        finally:
            self._open.discard(writer)
            self.outside.pop(writer, None)
            writer.close()

    def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> msgspec.Struct:
        try:
            request = read_request(line)
            if isinstance(request, words.Outside):
                self._let_out(request, writer)
                return words.Done()
            return self._do(request)
        except (ApiError, IdentityError, ValueError) as error:
            return words.Refused(str(error), asked_wrongly=True)

    def _do(self, request: words.Request) -> msgspec.Struct:
        match request:
            case words.GetStatus():
                return self._status()
            case words.GetSeen():
                return self.seen
            case words.Find(name, node_id):
                self.finds += 1
                fit = (one for one in self.offered if name in {"", one.name} and node_id in {"", one.node_id})
                return words.Services(tuple(fit))
            case words.Member() | words.Unmember() | words.ManagerPeer() | words.Border():
                self._let_in(request)
            case _:
                raise ValueError(f"this fake does not know {type(request).__name__}")
        return words.Done()

    def _let_out(self, request: words.Outside, writer: asyncio.StreamWriter) -> None:
        if writer in self.outside or not request.ports:
            raise ValueError("once on a connection, and at least one port")
        for port in request.ports:
            ProtocolPort.read_setting(port)
        self.outside[writer] = request.ports

    def _let_in(self, request: words.Member | words.Unmember | words.ManagerPeer | words.Border) -> None:
        match request:
            case words.Member(node_id, addresses, renew):
                read_node_id(node_id)
                for address in addresses:
                    ip_address(address)
                if renew:
                    self.renewed.append(node_id)
                self.members[node_id] = addresses
            case words.Unmember(node_id):
                if self.members.pop(node_id, None) is None and self.borders.pop(node_id, None) is None:
                    raise ValueError(f"node '{node_id}' is no member")
            case words.Border(node_id, addresses, endpoint, renew):
                read_node_id(node_id)
                for address in (*addresses, *([endpoint.rpartition(":")[0].strip("[]")] if endpoint else [])):
                    ip_address(address)
                if renew:
                    self.renewed.append(node_id)
                self.borders[node_id] = addresses
            case words.ManagerPeer(node_id, endpoint):
                read_node_id(node_id)
                host, _, port = endpoint.rpartition(":")
                ip_address(host.strip("[]"))
                self.managers[node_id] = f"{host}:{int(port)}"

    def _status(self) -> words.Status:
        return words.Status(
            *(self.node_id, str(session_address(self.node_id)), "fake", 0),
            relays=True,
            works=True,
            summary="a fake",
            is_connected=True,
            managers=(),
            links=0,
            links_up=0,
            sessions=0,
            routes=0,
            services=0,
            refused={},
        )
