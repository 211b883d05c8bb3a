"""What a messenger answers and tells on its socket, and the parts of it; what is asked is in `api_words`."""

from __future__ import annotations

from typing import Literal

import msgspec

from services.keys import NodeId

State = Literal["waiting", "boxed", "delivered", "read", "failed", "unread"]
"""Of one's own: kept here and tried again, in a mailbox, there, seen there, refused for good. Of others': unread, read.
Of a group's: the least that holds of all members.
"""

FileStage = Literal["offered", "waiting", "moving", "done", "refused", "failed"]
"""`offered` waits for the receiver's word; `waiting` for the other end to be reached, and goes on where it stopped."""


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class _Words(msgspec.Struct, frozen=True):
    pass


# parts of answers


class FileState(_Words, frozen=True):
    """`done_bytes` is what the receiver has on its disk. `why` says what keeps it from going on."""

    id: str
    conversation: str
    node_id: NodeId
    name: str
    size: int
    is_mine: bool
    stage: FileStage
    done_bytes: int = 0
    why: str = ""


class Receipt(_Words, frozen=True):
    """How far a message has come at one member of a group."""

    node_id: NodeId
    state: State


class Message(_Words, frozen=True):
    """`number` grows with what is written down here, and is this node's own; `id` (32 hex digits) is the same at both
    ends, and so is the `sequence` that sorts a conversation. `sent_unix_s` is the sender's clock, `kept_unix_s` this
    one's. `name` is what this node calls the sender. A `notice` is of a program of this machine, named by `topic`.
    """

    number: int
    id: str
    conversation: str
    sender: NodeId
    name: str
    is_mine: bool
    kind: Literal["text", "file", "group", "notice"]
    text: str
    sent_unix_s: float
    kept_unix_s: float
    state: State
    reply_to: str = ""
    topic: str = ""
    file: FileState | None = None
    receipts: tuple[Receipt, ...] = ()
    why: str = ""
    sequence: int = 0


class Conversation(_Words, frozen=True):
    """`id` is a node's, or `group:` and a group's. `unread` and `waiting` are counts."""

    id: str
    name: str
    unread: int
    waiting: int
    last: Message | None = None


class Contact(_Words, frozen=True):
    """`by` says who named it; without a name it is empty. `heard_unix_s`: when it was last reached, or 0."""

    node_id: NodeId
    name: str
    by: Literal["contact", "pet", "vouched", ""]
    is_online: bool
    heard_unix_s: float = 0
    unread: int = 0
    is_blocked: bool = False


class GroupMember(_Words, frozen=True):
    node_id: NodeId
    name: str


class Group(_Words, frozen=True):
    """`version` counts the owner's changes. Where this node was removed or has left, `is_member` is false."""

    id: str
    name: str
    owner: NodeId
    version: int
    members: tuple[GroupMember, ...]
    is_member: bool = True


class Kept(_Words, frozen=True):
    """What this node keeps for another."""

    node_id: NodeId
    name: str
    quota_bytes: int
    keep_s: int
    items: int
    bytes: int


class Mailbox(_Words, frozen=True):
    """Who keeps for this node; `is_agreed` once it has said yes."""

    node_id: NodeId
    name: str
    is_agreed: bool
    why: str = ""


class Note(_Words, frozen=True):
    number: int
    node_id: NodeId
    topic: str
    body: str
    sent_unix_s: float


# answered


class Sent(_Answer, frozen=True, tag="sent"):
    message: Message


class Messages(_Answer, frozen=True, tag="messages"):
    """`more`: there were more than asked for."""

    messages: tuple[Message, ...]
    more: bool = False


class Conversations(_Answer, frozen=True, tag="conversations"):
    conversations: tuple[Conversation, ...]


class Contacts(_Answer, frozen=True, tag="contacts"):
    contacts: tuple[Contact, ...]


class Ready(_Answer, frozen=True, tag="ready"):
    """The file's bytes may come."""


class Coming(_Answer, frozen=True, tag="coming"):
    """`file.size` bytes follow."""

    file: FileState


class Files(_Answer, frozen=True, tag="files"):
    files: tuple[FileState, ...]


class Groups(_Answer, frozen=True, tag="groups"):
    groups: tuple[Group, ...]


class Mailboxes(_Answer, frozen=True, tag="mailboxes"):
    mine: tuple[Mailbox, ...]
    kept: tuple[Kept, ...]


class NoteSent(_Answer, frozen=True, tag="note_sent"):
    """It lies on the disk here. `node_id`: who was meant."""

    node_id: NodeId


class Notes(_Answer, frozen=True, tag="notes"):
    notes: tuple[Note, ...]


class Watching(_Answer, frozen=True, tag="watching"):
    """`number` is the newest message's."""

    number: int
    conversation: str = ""


class Came(_Answer, frozen=True, tag="came"):
    """Event: a message that is new here, one's own too."""

    message: Message


class Changed(_Answer, frozen=True, tag="changed"):
    """Event: a message's state or receipts are others."""

    message: Message


class Moved(_Answer, frozen=True, tag="moved"):
    """Event: a file is further, at most twice a second for each."""

    file: FileState


class Presence(_Answer, frozen=True, tag="presence"):
    """Event: a node is reached, or is not any more."""

    node_id: NodeId
    is_online: bool


class Missed(_Answer, frozen=True, tag="missed"):
    """Event, and the last: this watcher was too slow to be told all. Watch again with `since`."""


class Status(_Answer, frozen=True, tag="status"):
    """`summary` says in one line whether it works. `waiting` are messages not yet there, `moving` files."""

    node_id: NodeId
    version: str
    works: bool
    summary: str
    contacts: int
    online: int
    messages: int
    unread: int
    waiting: int
    moving: int
    groups: int
    kept_bytes: int
    store_bytes: int
    refused: dict[str, int] = {}


class Done(_Answer, frozen=True, tag="done"):
    pass


class Refused(_Answer, frozen=True, tag="refused"):
    """`asked_wrongly` where the same question can never be answered."""

    why: str
    asked_wrongly: bool = False


Event = Came | Changed | Moved | Presence | Missed

Answer = (
    Sent
    | Messages
    | Conversations
    | Contacts
    | Ready
    | Coming
    | Files
    | Groups
    | Mailboxes
    | NoteSent
    | Notes
    | Watching
    | Came
    | Changed
    | Moved
    | Presence
    | Missed
    | Status
    | Done
    | Refused
)
