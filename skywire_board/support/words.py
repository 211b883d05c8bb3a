"""What is said on the support socket, pure: one line of JSON asks, one answers, and the archive's bytes may follow.

{"do":"make","keep":true}
{"is":"made","name":"skywire-bee.tar.gz","bytes":48211,"path":"/run/skywire/support/skywire-bee.tar.gz"}

Without `keep` the path is empty, and `bytes` bytes come after the line.
"""

from pathlib import Path

import msgspec

SOCKET = Path("/run/skywire/support.sock")
MAX_LINE = 4096


class Make(msgspec.Struct, frozen=True, tag_field="do", tag="make", forbid_unknown_fields=True):
    """Collect now; `keep` it on the board, in RAM, for whoever fetches it."""

    keep: bool = False


class Made(msgspec.Struct, frozen=True, tag_field="is", tag="made"):
    name: str
    bytes: int
    path: str = ""


class Refused(msgspec.Struct, frozen=True, tag_field="is", tag="refused"):
    text: str


Answer = Made | Refused
