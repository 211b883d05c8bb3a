"""One connection to the bus, for managers and nodes: publish, ask, listen, read one's own keys. A door to nats-py.

What comes in is bytes and stays unbelieved here. Only managers reach streams and buckets, through `bucket`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from services.keys import Identity
from services.manager import subjects
from services.manager.credentials import answer_nonce
from services.manager.errors import BusError, ForbiddenError

log = logging.getLogger(__name__)

CONNECT_WITHIN_S = 10.0
ASK_WITHIN_S = 5.0
STREAM_WITHIN_S = 2.0
"""Short, since `bucket` asks again: when a server is killed, what it was asked is lost."""

MAX_WAITING_MESSAGES, MAX_WAITING_BYTES = 16384, 32 << 20
"""Of one subscription; what comes on top is dropped, and told."""


class Message(NamedTuple):
    subject: str
    data: bytes
    reply: str


class Entry(NamedTuple):
    value: bytes
    revision: int


Handler = Callable[[Message], Awaitable[None]]
Told = Callable[[str], None]


class Bus:
    """Connects again by itself, to any of the managers, until it is closed, or a server refuses it: see `closed`."""

    def __init__(self, identity: Identity, tell: Told = log.info) -> None:
        """`tell` gets a sentence whenever the server refuses something, goes or comes back."""
        self._identity = identity
        self._tell = tell
        self._client = Client()
        self._began = False
        self.closed = asyncio.Event()
        """For good: expelled, muted, run out, or by `close`. A new Bus may be welcome, with another token."""
        self.on_back: Callable[[], None] | None = None
        """Called when it is connected again."""

    async def connect(self, urls: Sequence[str], token: Callable[[], str], *, in_order: bool = False) -> None:
        """The first time. `token` is asked at each connection. Raises BusError, ForbiddenError."""
        self._began = True
        refused: list[Exception] = []
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await self._client.connect(
                    list(urls),
                    **self._tellers(refused),
                    allow_reconnect=False,  # not before it was let in: a refusal would be asked for again and again
                    name=self._identity.node_id,
                    connect_timeout=3,
                    reconnect_time_wait=1,
                    dont_randomize=in_order,
                    max_reconnect_attempts=-1,
                    ping_interval=20,
                    max_outstanding_pings=2,
                    user_jwt_cb=lambda: bytearray(token().encode()),
                    signature_cb=lambda nonce: answer_nonce(self._identity, nonce),
                    inbox_prefix=subjects.inbox(self._identity.node_id),
                )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await self.close()
            told = "; ".join(dict.fromkeys(str(known) for known in refused)) or str(error) or "no answer"
            kind = ForbiddenError if "uthorization" in told or "xpired" in told else BusError
            raise kind(f"cannot connect to the bus at {', '.join(urls)}: {told}") from None
        self._client.options["allow_reconnect"] = True

    def _tellers(self, refused: list[Exception]) -> dict[str, Any]:
        """What nats-py calls when something happens."""

        async def trouble(error: Exception) -> None:
            refused.append(error)
            del refused[:-10]
            self._tell(f"the bus says: {error}")

        async def gone() -> None:
            self._tell("the bus is away")

        async def back() -> None:
            self._tell("the bus is back")
            if self.on_back is not None:
                self.on_back()

        async def closed() -> None:
            self.closed.set()

        return {"error_cb": trouble, "disconnected_cb": gone, "reconnected_cb": back, "closed_cb": closed}

    async def close(self) -> None:
        if not self._began:
            return
        with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await self._client.close()

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected

    @property
    def server(self) -> str:
        """Where it is connected to, as one of the urls; empty where it is not."""
        url = self._client.connected_url if self._client.is_connected else None
        return url.geturl() if url is not None else ""

    async def answers(self, within_s: float) -> bool:
        """Whether the server itself does, whatever becomes of questions to others."""
        try:
            async with asyncio.timeout(within_s):
                await self._client.flush(timeout=CONNECT_WITHIN_S)  # type: ignore[arg-type]  # less is fine too
        except (nats.errors.Error, OSError, TimeoutError):
            return False
        return True

    def jetstream(self) -> JetStreamContext:
        """For `bucket`."""
        return self._client.jetstream(timeout=STREAM_WITHIN_S)

    async def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        try:
            await self._client.publish(subject, data, reply)
        except (nats.errors.Error, OSError) as error:
            raise BusError(f"cannot publish '{subject}': {error}") from None

    async def flush(self) -> None:
        """Until the server has taken all that was published and subscribed."""
        try:
            await self._client.flush(timeout=int(ASK_WITHIN_S))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise BusError(f"the bus does not answer: {error}") from None

    async def ask(self, subject: str, data: bytes, within_s: float = ASK_WITHIN_S) -> bytes:
        """The first answer. Raises BusError."""
        return (await self._ask(subject, data, within_s)).data

    async def listen(self, subject: str, handler: Handler, queue: str = "") -> Callable[[], Awaitable[None]]:
        """Each message in its turn; with a queue's name, one of its members gets it. Returns what ends it."""

        async def each(message: Msg) -> None:
            try:
                await handler(Message(message.subject, message.data, message.reply))
            except BusError as error:
                self._tell(f"'{message.subject}' is lost: {error}")

        try:
            subscription = await self._client.subscribe(
                subject,
                queue,
                each,
                pending_msgs_limit=MAX_WAITING_MESSAGES,
                pending_bytes_limit=MAX_WAITING_BYTES,
            )
        except (nats.errors.Error, OSError) as error:
            raise BusError(f"cannot listen to '{subject}': {error}") from None
        return subscription.unsubscribe

    async def read_own(self, bucket: str, key: str) -> Entry | None:
        """A node's own key, by the one question it may ask. None where there is nothing. Raises BusError."""
        message = await self._ask(subjects.direct_get(bucket, key), b"", ASK_WITHIN_S)
        headers = message.headers or {}
        if headers.get("Status") == "404" or headers.get("KV-Operation") in {"DEL", "PURGE"}:
            return None
        if "Nats-Sequence" not in headers:
            raise BusError(
                f"'{key}' of bucket '{bucket}' cannot be read: {headers.get('Description', 'no such answer')}"
            )
        return Entry(message.data, int(headers["Nats-Sequence"]))

    async def _ask(self, subject: str, data: bytes, within_s: float) -> Msg:
        try:
            return await self._client.request(subject, data, timeout=within_s)
        except nats.errors.NoRespondersError:
            raise BusError(f"nobody answers '{subject}'") from None
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise BusError(f"no answer to '{subject}' within {within_s:g} s: {error}") from None
