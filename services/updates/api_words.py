"""What is said on the manager's socket of updates (`services.manager.api_words` has the rest), pure.

{"do":"put_chunk","upload":"","data":"…base64…"}       {"is":"took","upload":"9c1f…","size":65536}
{"do":"start_update","upload":"9c1f…","percent":25}    {"is":"update","course":"running","boards":[…]}
{"do":"update"}                                        {"is":"update",…}
{"do":"steer_update","act":"pause"}                    {"is":"update",…}
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from services.keys import NodeId
from services.updates.model import Course, Stage


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class PutChunk(_Request, frozen=True, tag="put_chunk"):
    """The next piece of a bundle, `objects.CHUNK` bytes but for the last; with no `upload` a new one begins, in the
    place of one that did not end. Answered by `Took`.
    """

    data: Annotated[bytes, msgspec.Meta(min_length=1, max_length=64 << 10)]
    upload: str = ""


class StartUpdate(_Request, frozen=True, tag="start_update"):
    """Roll out what was uploaded, or with no `upload` what is stored already. `nodes`: these, in this order; none is
    all, by name. `percent` of them at once, else one. `failures` are tolerated. `older`: boards may take a version
    below theirs. Answered by `Update`.
    """

    upload: str = ""
    percent: int | None = None
    nodes: tuple[str, ...] = ()
    failures: int = 0
    older: bool = False


class GetUpdate(_Request, frozen=True, tag="update"):
    """Answered by `Update`."""


class SteerUpdate(_Request, frozen=True, tag="steer_update"):
    """Boards that were told go on in any case. Answered by `Update`."""

    act: Literal["pause", "resume", "abort"]


class Took(_Answer, frozen=True, tag="took"):
    """`size`: bytes so far."""

    upload: str
    size: int


class BoardRow(msgspec.Struct, frozen=True):
    """`name`: what the managers vouch for. `called`, `version` and `slot` as the board says; `stage` in the roll-out,
    empty where it has none in it.
    """

    node_id: NodeId
    name: str
    version: str
    slot: str
    stage: Stage | Literal[""]
    why: str
    is_manager: bool
    is_here: bool
    called: str = ""


class Update(_Answer, frozen=True, tag="update"):
    """The roll-out that is under way or was last; with no `sha256` there was none."""

    course: Course | Literal[""]
    why: str
    version: str
    sha256: str
    size: int
    at_once: int
    boards: tuple[BoardRow, ...]
