"""One end of a signal connection, without I/O: bytes in, events out, and bytes to send in `take_output`.

What may happen when is written once, in `TRANSITIONS`. The caller owns sockets, clocks and deadlines. A
session that saw a violation gives a last `Broken` event and ignores all further bytes.
"""

from __future__ import annotations

import enum

from viscript.signal import bodies
from viscript.signal.errors import LocalError, RemoteError
from viscript.signal.model import (
    MAX_BODY,
    NEEDS,
    RESPONSE,
    Ack,
    Answered,
    Ask,
    Asked,
    Broken,
    Event,
    Extension,
    Frame,
    Late,
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
U32 = 1 << 32


class State(enum.StrEnum):
    FRESH = "connected, not registered"
    REGISTERING = "registration under way"
    LIVE = "registered"
    CLOSED = "closed"


class Step(enum.StrEnum):
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


class Session:
    """The state of one connection. Sequence numbers count up per sender from 1; the peer's are echoed, not
    judged. `extensions` are those agreed on once it is live.
    """

    def __init__(self, role: Role, max_body: int = MAX_BODY) -> None:
        self.state = State.FRESH
        self.extensions: frozenset[Extension] = frozenset()
        self._role = role
        self._max_body = max_body
        self._reader = FrameReader(max_body)
        self._output = bytearray()
        self._last_seq = 0
        self._unacked: set[int] = set()
        self._last_number = 0
        self._open: dict[int, Ask] = {}
        self._offer: frozenset[Extension] = frozenset()
        self._reg_text = bodies.NULL
        self._reg: bodies.RegBody | None = None

    @property
    def half_frame(self) -> bool:
        """Whether the peer has begun a frame and not finished it."""
        return self._reader.half_frame

    @property
    def frames_read(self) -> int:
        return self._reader.count

    @property
    def has_output(self) -> bool:
        return bool(self._output)

    def take_output(self) -> bytes:
        output = bytes(self._output)
        self._output.clear()
        return output

    def close(self) -> None:
        self.state = State.CLOSED

    # What our side says

    def register(self, client_id: int, offer: frozenset[Extension] = frozenset()) -> None:
        self._step_locally(Step.REG, Role.CLIENT)
        self._offer = offer
        names = tuple(name.value for name in Extension if name in offer)
        self._send(bodies.encode_body(Reg.REG, bodies.RegBody(client_id, names or None)))

    def accept(self, known: frozenset[Extension] = frozenset()) -> None:
        """Answer the registration: an echo of its body, as the original does, unless it offers something."""
        self._step_locally(Step.REG_ANSWER, Role.SERVER)
        if self._reg is None or self._reg.offer is None:
            self._send(bytes((Reg.REG | RESPONSE,)) + self._reg_text)
            return
        both = known.intersection(self._reg.offer)
        self.extensions = both if Extension.IDS in both else frozenset()
        self._send(bodies.encode_body(Reg.REG | RESPONSE, bodies.make_reg_answer(self._reg, self.extensions)))

    def ask(self, op: Ask, value: object = None) -> int:
        """Ask the client; its answer will carry the number returned."""
        if op in NEEDS and NEEDS[op] not in self.extensions:
            raise LocalError(f"{op.name} was not agreed on")
        if len(self._open) >= MAX_OUTSTANDING:
            raise LocalError(f"{MAX_OUTSTANDING} requests are unanswered: the program hangs")
        number = (self._last_number + 1) % U32
        body = bodies.encode_body(op, value, number if self.extensions else None)
        self._check_size(body)
        self._step_locally(Step.REQUEST, Role.SERVER)
        self._last_number = number
        self._open[number] = op
        self._send(body)
        return number

    def give_up(self, number: int) -> None:
        """Await that answer no longer. Without ids it still has its turn, or it would pass for the next one."""
        if self.extensions:
            self._open.pop(number, None)

    def answer(self, asked: Asked, value: object) -> None:
        body = bodies.encode_body(asked.op | RESPONSE, value, asked.number if self.extensions else None)
        self._check_size(body)
        self._step_locally(Step.ANSWER, Role.CLIENT)
        if self.extensions and self._open.pop(asked.number, None) is None:
            raise LocalError(f"request {asked.number} is answered already")
        self._send(body)

    def ping(self, unix_ms: int) -> None:
        self._step_locally(Step.SIGN_OF_LIFE, self._role)
        self._output += encode(Ping(unix_ms))

    # What the peer says

    def feed(self, data: bytes) -> None:
        if self.state is not State.CLOSED:
            self._reader.feed(data)

    def next_event(self) -> Event | None:
        """The next thing the peer did; None when that takes more bytes."""
        try:
            while self.state is not State.CLOSED and (frame := self._reader.next_frame()) is not None:
                event = self._receive_frame(frame)
                if event is not None:
                    return event
        except RemoteError as error:
            self.state = State.CLOSED
            return Broken(str(error))
        return None

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
        if self._role is Role.CLIENT:
            return self._receive_asked(body)
        if body[0] != Reg.REG:
            raise RemoteError(f"unknown operation {body[0]}")
        self._step_remotely(Step.REG)
        self._reg_text = body[1:]
        self._reg = bodies.read_reg(self._reg_text)
        return Registering(self._reg.id)

    def _receive_asked(self, body: bytes) -> Event:
        self._step_remotely(Step.REQUEST)
        code, number, text = bodies.split_number(body) if self.extensions else (body[0], 0, body[1:])
        op = bodies.read_op(code)
        if op in NEEDS and NEEDS[op] not in self.extensions:
            raise RemoteError(f"unknown operation {code}: it was not agreed on")
        value = bodies.read_request(op, text)
        if self.extensions:
            if number in self._open:
                raise RemoteError(f"request {number} was asked twice")
            if len(self._open) >= MAX_OUTSTANDING:
                raise RemoteError(f"a flood of requests: {MAX_OUTSTANDING} are unanswered")
            self._open[number] = op
        return Asked(op, value, number)

    def _receive_answer(self, body: bytes) -> Event:
        if self._role is Role.CLIENT:
            if body[0] != Reg.REG | RESPONSE:
                raise RemoteError(f"answer to unknown operation {body[0] ^ RESPONSE}")
            self._step_remotely(Step.REG_ANSWER)
            self.extensions = self._read_extensions(body[1:])
            return Registered(self.extensions)
        self._step_remotely(Step.ANSWER)
        code, number, text = bodies.split_number(body) if self.extensions else (body[0], 0, body[1:])
        op = bodies.read_op(code)
        if not self.extensions:
            number = next((open_number for open_number, asked in self._open.items() if asked is op), 0)
        elif number not in self._open and 0 < number <= self._last_number:
            bodies.read_any(text)
            return Late()
        if self._open.get(number) is not op:
            raise RemoteError(f"answer to operation {op.name}, which was not asked")
        value = bodies.read_answer(op, text)
        del self._open[number]
        return Answered(op, value, number)

    def _read_extensions(self, text: bytes) -> frozenset[Extension]:
        accepted = bodies.read_accepted(text) if self._offer else frozenset()
        if not accepted <= self._offer:
            raise RemoteError(f"the server accepts what was not offered: {', '.join(sorted(accepted - self._offer))}")
        if accepted and Extension.IDS not in accepted:
            raise RemoteError("the server accepts extensions, but not request ids, without which there are none")
        return frozenset(name for name in self._offer if name in accepted)

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

    def _check_size(self, body: bytes) -> None:
        if len(body) > self._max_body:
            raise LocalError(f"body of {len(body)} bytes, at most {self._max_body} may be sent")

    def _send(self, body: bytes) -> None:
        self._last_seq = (self._last_seq + 1) % U32
        self._unacked.add(self._last_seq)
        if len(self._unacked) > MAX_UNACKED:
            raise LocalError("the peer acknowledges nothing")
        self._output += encode(Normal(self._last_seq, body))
