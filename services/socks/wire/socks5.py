"""The handshakes of SOCKS5 (RFC 1928) and of its names and passwords (RFC 1929), for either side. No I/O.

    ServerTalk   feed(bytes) → NEED_DATA | Credentials | Request; then reply()
    ClientTalk   start(); feed(bytes) → NEED_DATA | Replied

What is to be sent comes from `take_output`; what a peer sent beyond its handshake from `take_rest`.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

from services.socks.errors import WireError
from services.socks.model import NOWHERE, Command, Credentials, Place, Reply, Request
from services.socks.wire.places import KindError, encode_place, read_place

VERSION, PASSWORD_VERSION = 5, 1
NO_METHOD, ANONYMOUS, PASSWORD = 0xFF, 0, 2


class NeedData(Enum):
    NEED_DATA = auto()


NEED_DATA: Final = NeedData.NEED_DATA


class _State(Enum):
    GREETING = auto()
    CREDENTIALS = auto()
    JUDGED = auto()
    REQUEST = auto()
    ASKED = auto()


class Replied(NamedTuple):
    reply: Reply
    bound: Place


class _Talk:
    """Never holds more than a handshake and what was fed with its last piece."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._output = b""

    def take_output(self) -> bytes:
        output, self._output = self._output, b""
        return output

    def take_rest(self) -> bytes:
        rest, self._data = bytes(self._data), bytearray()
        return rest


def encode_reply(reply: Reply, bound: Place = NOWHERE) -> bytes:
    return bytes((VERSION, reply, 0)) + encode_place(bound)


class ServerTalk(_Talk):
    def __init__(self, wants_password: bool = False) -> None:
        super().__init__()
        self._method = PASSWORD if wants_password else ANONYMOUS
        self._state = _State.GREETING

    def feed(self, data: bytes) -> NeedData | Credentials | Request:
        """After Credentials call `judge`, then feed again, be it nothing. Raises WireError."""
        self._data += data
        if self._state is _State.GREETING and not self._read_greeting():
            return NEED_DATA
        if self._state is _State.CREDENTIALS:
            return self._read_credentials() or NEED_DATA
        if self._state is _State.REQUEST:
            return self._read_request() or NEED_DATA
        return NEED_DATA

    def judge(self, *, accepted: bool) -> None:
        """Raises WireError where not accepted: the server then has to close the connection."""
        if not accepted:
            raise WireError("wrong name or password", bytes((PASSWORD_VERSION, 1)))
        self._output += bytes((PASSWORD_VERSION, 0))
        self._state = _State.REQUEST

    def reply(self, reply: Reply, bound: Place = NOWHERE) -> bytes:
        return encode_reply(reply, bound)

    def too_many(self) -> bytes:
        """What there is to say before a request: that no method will do."""
        return bytes((VERSION, NO_METHOD))

    def _read_greeting(self) -> bool:
        data = self._data
        if data and data[0] != VERSION:
            raise WireError(f"version {data[0]} is not 5")
        if len(data) < 2 or len(data) < 2 + data[1]:
            return False
        methods = data[2 : 2 + data[1]]
        if self._method not in methods:
            wanted = "name and password" if self._method == PASSWORD else "no authentication"
            raise WireError(f"the client does not offer the method '{wanted}'", bytes((VERSION, NO_METHOD)))
        del data[: 2 + len(methods)]
        self._output += bytes((VERSION, self._method))
        self._state = _State.CREDENTIALS if self._method == PASSWORD else _State.REQUEST
        return True

    def _read_credentials(self) -> Credentials | None:
        data = self._data
        if data and data[0] != PASSWORD_VERSION:
            raise WireError(f"version {data[0]} of name and password is not 1", bytes((PASSWORD_VERSION, 1)))
        if len(data) < 2 or len(data) < 3 + data[1]:
            return None
        at = 2 + data[1]
        end = at + 1 + data[at]
        if len(data) < end:
            return None
        found = Credentials(bytes(data[2:at]), bytes(data[at + 1 : end]))
        del data[:end]
        self._state = _State.JUDGED
        return found

    def _read_request(self) -> Request | None:
        data = self._data
        if data and data[0] != VERSION:
            raise WireError(f"version {data[0]} is not 5", encode_reply(Reply.FAILED))
        if len(data) < 4:
            return None
        try:
            found = read_place(data, 3)
        except KindError as error:
            raise WireError(str(error), encode_reply(Reply.ADDRESS_UNSUPPORTED)) from None
        except WireError as error:
            raise WireError(str(error), encode_reply(Reply.HOST_UNREACHABLE)) from None
        if found is None:
            return None
        if data[1] not in tuple(Command):
            raise WireError(f"command {data[1]} is unknown", encode_reply(Reply.COMMAND_UNSUPPORTED))
        request = Request(Command(data[1]), found[0])
        del data[: found[1]]
        self._state = _State.ASKED
        return request


class ClientTalk(_Talk):
    """`pipelined`: says everything at once, where the server is known to read it so. It saves a round trip or two; one
    method is offered, so no answer of the server's would change what is said next.
    """

    def __init__(self, request: Request, credentials: Credentials | None = None, *, pipelined: bool = False) -> None:
        super().__init__()
        self._request = bytes((VERSION, request.command, 0)) + encode_place(request.place)
        self._method = ANONYMOUS if credentials is None else PASSWORD
        self._password = b"" if credentials is None else _encode_credentials(credentials)
        self._pipelined = pipelined
        self._state = _State.GREETING

    def start(self) -> None:
        self._output = bytes((VERSION, 1, self._method))
        if self._pipelined:
            self._output += self._password + self._request

    def feed(self, data: bytes) -> NeedData | Replied:
        """Raises WireError where the server refuses the method or the password, or says something else."""
        self._data += data
        if self._state is _State.GREETING and not self._read_method():
            return NEED_DATA
        if self._state is _State.CREDENTIALS and not self._read_judgement():
            return NEED_DATA
        return self._read_reply() or NEED_DATA

    def _read_method(self) -> bool:
        data = self._data
        if data and data[0] != VERSION:
            raise WireError(f"the server's version {data[0]} is not 5")
        if len(data) < 2:
            return False
        if data[1] != self._method:
            raise WireError("the server takes nobody more, or wants another authentication (set `credentials`)")
        del data[:2]
        self._state = _State.CREDENTIALS if self._method == PASSWORD else _State.REQUEST
        self._say(self._password or self._request)
        return True

    def _read_judgement(self) -> bool:
        data = self._data
        if len(data) < 2:
            return False
        if data[1] != 0:
            raise WireError("the server refuses name or password")
        del data[:2]
        self._state = _State.REQUEST
        self._say(self._request)
        return True

    def _say(self, data: bytes) -> None:
        if not self._pipelined:
            self._output += data

    def _read_reply(self) -> Replied | None:
        data = self._data
        if data and data[0] != VERSION:
            raise WireError(f"the server's version {data[0]} is not 5")
        if len(data) < 4:
            return None
        found = read_place(data, 3)
        if found is None:
            return None
        reply = Reply(data[1]) if data[1] in tuple(Reply) else Reply.FAILED
        del data[: found[1]]
        return Replied(reply, found[0])


def _encode_credentials(credentials: Credentials) -> bytes:
    name, password = credentials
    if not (1 <= len(name) <= 255 and 1 <= len(password) <= 255):
        raise ValueError("name and password are 1 to 255 bytes each")
    return bytes((PASSWORD_VERSION, len(name))) + name + bytes((len(password),)) + password
