"""What is said on the update door, /run/skywire/update/update.sock, pure: one line of JSON asks, lines answer.

{"do":"install","source":"http://…/board.raucb"}      or "https://…"
{"do":"install","source":"-","size":100103424}        so many bytes follow the line; without a size, all until their end
{"is":"progress","percent":40,"text":"writing slot B"}
{"is":"installed","version":"1.2.0+0123456789ab","slot":"B"}
{"is":"refused","text":"the bundle is signed by a key that this board does not know (…)"}

{"do":"status"}
{"is":"status","version":"…","slot":"A","other":"B","trial":false,"installed":"…","rolled_back":"","running":false,…}

{"do":"seen"}                                          somebody knows of what was rolled back; answered by the status
{"do":"reboot"}
{"is":"rebooting"}

One request a connection. An installation ends where its connection does: who hangs up, stops it, and the running slot
is untouched. Times are seconds since 1970.
"""

from __future__ import annotations

import msgspec

SOCKET = "/run/skywire/update/update.sock"
MAX_LINE = 4096
FOLLOWS = "-"
"""As `source`: the bundle's bytes come after the line."""


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class Install(_Request, frozen=True, tag="install"):
    """Install a bundle into the slot that does not run. `older` allows a version below the one that runs. `size` of
    what follows, in bytes; 0 where nobody knows: then it ends where the sender ends its half of the connection.
    """

    source: str
    older: bool = False
    size: int = 0


class AskStatus(_Request, frozen=True, tag="status"):
    """What runs, what is installed, what happened last."""


class MarkSeen(_Request, frozen=True, tag="seen"):
    """What was rolled back is known to its owner: the light ends, the last word stays. Answered as `AskStatus`."""


class Reboot(_Request, frozen=True, tag="reboot"):
    """Restart the board in order, into what is installed."""


Request = Install | AskStatus | MarkSeen | Reboot


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class Progress(_Answer, frozen=True, tag="progress"):
    """How far an installation is; several of them, then one of the two below."""

    percent: int
    text: str


class Installed(_Answer, frozen=True, tag="installed"):
    """The other slot holds `version` and is the next to be tried; `fetched` bytes came over the network."""

    version: str
    slot: str
    fetched: int = 0


class Refused(_Answer, frozen=True, tag="refused"):
    """Not done. The running slot is untouched."""

    text: str


class Status(_Answer, frozen=True, tag="status"):
    """`installed` is what waits in the other slot for a reboot ('' if nothing does); `rolled_back` says why, if so.

    `trial`: this boot is the first of a slot and not yet marked good. `running`: an installation is under way, at
    `percent`. `last` and `last_at` tell the end of the last installation or trial.
    """

    version: str
    slot: str
    other: str
    trial: bool = False
    installed: str = ""
    rolled_back: str = ""
    running: bool = False
    percent: int = 0
    last: str = ""
    last_at: float = 0.0


class Rebooting(_Answer, frozen=True, tag="rebooting"):
    """The board goes down in order now."""


Answer = Progress | Installed | Refused | Status | Rebooting


_REQUESTS = msgspec.json.Decoder(Request)
_ANSWERS = msgspec.json.Decoder(Answer)


def read_request(line: bytes) -> Request:
    """The request in a line; msgspec.DecodeError says what is wrong with it."""
    request: Request = _REQUESTS.decode(line)
    return request


def read_answer(line: bytes) -> Answer:
    """The answer in a line; msgspec.DecodeError says what is wrong with it."""
    answer: Answer = _ANSWERS.decode(line)
    return answer


def line(word: Request | Answer) -> bytes:
    """A word as it is sent."""
    return msgspec.json.encode(word) + b"\n"
