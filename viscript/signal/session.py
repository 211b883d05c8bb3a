"""One end of a signal connection, without I/O: bytes in, events out, and bytes to send in `take_output`.

What may happen when is written once, in `TRANSITIONS`. The caller owns sockets, clocks and deadlines. A
session that saw a violation gives a last `Broken` event and ignores all further bytes.
"""

from __future__ import annotations

import enum
from collections import deque

import msgspec

from viscript.signal.errors import LocalError, RemoteError
from viscript.signal.model import (
    MAX_BODY,
    RESPONSE,
    Ack,
    Answered,
    Ask,
    Asked,
    Broken,
    Event,
    Frame,
    Normal,
    Ping,
    Pinged,
    Pong,
    Ponged,
    Reg,
    Registered,
    Registering,
    Role,
)
from viscript.signal.wire import FrameReader, encode

MAX_OUTSTANDING = 64
"""Requests a server may have unanswered at one client before it is told that the client hangs."""

MAX_UNACKED = 4096
SEQ_SPACE = 1 << 32


class State(enum.Enum):
    FRESH = "connected, not registered"
    REGISTERING = "registration under way"
    LIVE = "registered"
    CLOSED = "closed"


class Step(enum.Enum):
    """What either side does; REQUEST, ANSWER and REG name the body, whoever sends it."""

    REG = "REG"
    REG_ANSWER = "REG answer"
    REQUEST = "request"
    ANSWER = "answer"
    SIGN_OF_LIFE = "PING or PONG"
    ACK = "ACK"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.FRESH, Step.REG): State.REGISTERING,
    (State.FRESH, Step.SIGN_OF_LIFE): State.FRESH,
    (State.REGISTERING, Step.ACK): State.REGISTERING,
    (State.REGISTERING, Step.SIGN_OF_LIFE): State.REGISTERING,
    (State.REGISTERING, Step.REG_ANSWER): State.LIVE,
    (State.LIVE, Step.ACK): State.LIVE,
    (State.LIVE, Step.SIGN_OF_LIFE): State.LIVE,
    (State.LIVE, Step.REQUEST): State.LIVE,
    (State.LIVE, Step.ANSWER): State.LIVE,
}
"""The same table holds for both ends: only the server sends REQUEST and REG_ANSWER, only the client the
others.
"""


class _RegBody(msgspec.Struct, frozen=True):
    id: int = msgspec.field(name="Id")


class Session:
    """The state of one connection. Sequence numbers count up per sender from 1; the peer's are echoed, not
    judged.
    """

    def __init__(self, role: Role, max_body: int = MAX_BODY) -> None:
        self.state = State.FRESH
        self._role = role
        self._reader = FrameReader(max_body)
        self._output = bytearray()
        self._last_seq = 0
        self._unacked: set[int] = set()
        self._outstanding: deque[Ask] = deque()
        self._reg_body = b"null"

    @property
    def half_frame(self) -> bool:
        """Whether the peer has begun a frame and not finished it."""
        return self._reader.half_frame

    def take_output(self) -> bytes:
        output = bytes(self._output)
        self._output.clear()
        return output

    def close(self) -> None:
        self.state = State.CLOSED

    # What our side says

    def register(self, client_id: int) -> None:
        self._step_locally(Step.REG, Role.CLIENT)
        self._send(Reg.REG, msgspec.json.encode(_RegBody(client_id)))

    def accept(self) -> None:
        """Answer the registration; the original echoes its body."""
        self._step_locally(Step.REG_ANSWER, Role.SERVER)
        self._send(Reg.REG | RESPONSE, self._reg_body)

    def ask(self, op: Ask) -> None:
        if len(self._outstanding) >= MAX_OUTSTANDING:
            raise LocalError(f"{MAX_OUTSTANDING} requests are unanswered: the program hangs")
        self._step_locally(Step.REQUEST, Role.SERVER)
        self._outstanding.append(op)
        self._send(op, b"null")

    def answer(self, op: Ask, value: object) -> None:
        self._step_locally(Step.ANSWER, Role.CLIENT)
        self._send(op | RESPONSE, msgspec.json.encode(value))

    def ping(self, unix_ms: int) -> None:
        self._step_locally(Step.SIGN_OF_LIFE, self._role)
        self._output += encode(Ping(unix_ms))

    # What the peer says

    def receive(self, data: bytes) -> list[Event]:
        """Events in the order the peer caused them."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        self._reader.feed(data)
        try:
            while (frame := self._reader.next_frame()) is not None:
                event = self._receive_frame(frame)
                if event is not None:
                    events.append(event)
        except RemoteError as error:
            self.state = State.CLOSED
            events.append(Broken(str(error)))
        return events

    def _receive_frame(self, frame: Frame) -> Event | None:
        match frame:
            case Normal(seq, body):
                event = self._receive_request(body) if body[0] < RESPONSE else self._receive_answer(body)
                # The ACK precedes whatever the caller says in reply.
                self._output += encode(Ack(seq))
                return event
            case Ack(seq):
                self._step_remotely(Step.ACK)
                if seq not in self._unacked:
                    raise RemoteError(f"ACK of frame {seq}, which is not outstanding")
                self._unacked.discard(seq)
                return None
            case Ping(unix_ms):
                self._step_remotely(Step.SIGN_OF_LIFE)
                self._output += encode(Pong(unix_ms))
                return Pinged()
            case Pong(unix_ms):
                self._step_remotely(Step.SIGN_OF_LIFE)
                return Ponged(unix_ms)

    def _receive_request(self, body: bytes) -> Event:
        if self._role is Role.SERVER:
            if body[0] != Reg.REG:
                raise RemoteError(f"unknown operation {body[0]}")
            self._step_remotely(Step.REG)
            try:
                client_id = msgspec.json.decode(body[1:], type=_RegBody).id
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RemoteError(f"registration is malformed: {error}") from error
            self._reg_body = body[1:]
            return Registering(client_id)
        _decode(body)
        try:
            op = Ask(body[0])
        except ValueError as error:
            raise RemoteError(f"unknown operation {body[0]}") from error
        self._step_remotely(Step.REQUEST)
        return Asked(op)

    def _receive_answer(self, body: bytes) -> Event:
        code, value = body[0] ^ RESPONSE, _decode(body)
        if self._role is Role.CLIENT:
            if code != Reg.REG:
                raise RemoteError(f"answer to unknown operation {code}")
            self._step_remotely(Step.REG_ANSWER)
            return Registered()
        self._step_remotely(Step.ANSWER)
        for op in self._outstanding:
            if op == code:
                self._outstanding.remove(op)
                return Answered(op, value)
        raise RemoteError(f"answer to operation {code}, which was not asked")

    # The table

    def _step_locally(self, step: Step, role: Role) -> None:
        after = TRANSITIONS.get((self.state, step))
        if after is None or role is not self._role:
            raise LocalError(f"a {self._role.value} cannot send {step.value}: {self.state.value}")
        self.state = after

    def _step_remotely(self, step: Step) -> None:
        after = TRANSITIONS.get((self.state, step))
        if after is None:
            raise RemoteError(f"{step.value} out of turn: {self.state.value}")
        self.state = after

    def _send(self, op: int, text: bytes) -> None:
        self._last_seq = (self._last_seq + 1) % SEQ_SPACE
        self._unacked.add(self._last_seq)
        if len(self._unacked) > MAX_UNACKED:
            raise LocalError("the peer acknowledges nothing")
        self._output += encode(Normal(self._last_seq, bytes((op,)) + text))


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError(f"body is not JSON: {error}") from error
