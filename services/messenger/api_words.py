"""What is said on the messenger's socket, pure: one line of JSON asks, one answers, in order.

{"do":"send","whom":"alice","text":"hello"}
{"is":"sent","message":{"number":12,"conversation":"31ab…","text":"hello","state":"waiting",…}}
{"do":"watch","since":12}                     on a connection of its own: {"is":"watching",…}, then a line per event
{"do":"send_file","whom":"alice","name":"a.iso","size":734003200}
{"is":"ready"}                                then `size` bytes as they are, then {"is":"sent",…}
{"do":"fetch_file","file":"9c1f…"}            {"is":"coming","file":{…}}, then `size` bytes as they are

`whom` is a node id, a contact's, pet or vouched name, or a group: `group:` and its id or name. What
is answered with `sent` or `done` lies on the disk. Times are Unix seconds, ids hex, sizes bytes.
"""

from __future__ import annotations

import msgspec

from services.messenger.api_answers import (
    Answer,
    Came,
    Changed,
    Coming,
    Contact,
    Contacts,
    Conversation,
    Conversations,
    Done,
    Event,
    Files,
    FileStage,
    FileState,
    Group,
    GroupMember,
    Groups,
    Kept,
    Mailbox,
    Mailboxes,
    Message,
    Messages,
    Missed,
    Moved,
    Note,
    Notes,
    NoteSent,
    Presence,
    Ready,
    Receipt,
    Refused,
    Sent,
    State,
    Status,
    Watching,
)

__all__ = [
    "Answer",
    "Came",
    "Changed",
    "Coming",
    "Contact",
    "Contacts",
    "Conversation",
    "Conversations",
    "Done",
    "Event",
    "FileStage",
    "FileState",
    "Files",
    "Group",
    "GroupMember",
    "Groups",
    "Kept",
    "Mailbox",
    "Mailboxes",
    "Message",
    "Messages",
    "Missed",
    "Moved",
    "Note",
    "NoteSent",
    "Notes",
    "Presence",
    "Ready",
    "Receipt",
    "Refused",
    "Sent",
    "State",
    "Status",
    "Watching",
]
"""Those of the answers, which are to be had here too."""

MAX_LINE = 128 * 1024
MAX_ANSWER = 16 << 20
MAX_TEXT = 16 * 1024
"""Bytes of a message as UTF-8."""

MAX_FILE = 100 * 1000 * 1000
MAX_NAME = 64
MAX_NOTE = 32 * 1024
MAX_LISTED = 500
"""Messages in one answer."""

GROUP = "group:"
"""Before a group's id, 32 hex digits, where a conversation is named."""


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


# messages


class Send(_Request, frozen=True, tag="send"):
    """`reply_to`: the `id` of a message in that conversation. `once`: up to 64 letters of the asker's own; the same
    again sends nothing and answers with what was sent. Answered by `Sent`.
    """

    whom: str
    text: str
    reply_to: str = ""
    once: str = ""


class GetHistory(_Request, frozen=True, tag="history"):
    """Of one conversation, or of all; oldest first. Those numbered after `since`, the first `limit` of them; without
    it the last `limit` before `before` (0: the newest). `unread`: only those. Answered by `Messages`.
    """

    whom: str = ""
    since: int | None = None
    before: int = 0
    limit: int = 50
    unread: bool = False


class Search(_Request, frozen=True, tag="search"):
    """Messages that hold all these words, newest first; `word*` is a beginning. Answered by `Messages`."""

    words: str
    whom: str = ""
    limit: int = 50


class GetConversations(_Request, frozen=True, tag="conversations"):
    """The latest first. Answered by `Conversations`."""


class Read(_Request, frozen=True, tag="read"):
    """All in the conversation up to that number was seen here; its senders are told. Answered by `Done`."""

    whom: str
    upto: int


class Watch(_Request, frozen=True, tag="watch"):
    """Answered by `Watching`, then by events until the asker leaves: first what came after `since` (None: nothing
    older), then what happens. `whom`: of one conversation. Nothing else is asked on that connection.
    """

    since: int | None = None
    whom: str = ""


# people


class GetContacts(_Request, frozen=True, tag="contacts"):
    """Everybody with a name or a conversation. Answered by `Contacts`."""


class SetContact(_Request, frozen=True, tag="contact"):
    """Calls the node so from now on; an empty name takes it away. What a blocked one sends is refused. Answered by
    `Contacts`.
    """

    whom: str
    name: str | None = None
    is_blocked: bool | None = None


# files


class SendFile(_Request, frozen=True, tag="send_file"):
    """Answered by `Ready`, and after the file's bytes by `Sent`. `name` is told to the receiver: no folder in it."""

    whom: str
    name: str
    size: int
    once: str = ""


class AcceptFile(_Request, frozen=True, tag="accept_file"):
    """`file`: its id, or the unique beginning of it. Answered by `Files` with this one."""

    file: str


class RefuseFile(_Request, frozen=True, tag="refuse_file"):
    """Also ends one that moves, from either end, and forgets what is here of it. Answered by `Files` with this one."""

    file: str


class FetchFile(_Request, frozen=True, tag="fetch_file"):
    """One that is all here. Answered by `Coming` and its bytes."""

    file: str


class GetFiles(_Request, frozen=True, tag="files"):
    """The newest first. Answered by `Files`."""

    whom: str = ""


# groups


class MakeGroup(_Request, frozen=True, tag="make_group"):
    """Whoever makes it signs who is in it. Answered by `Groups` with this one."""

    name: str
    members: tuple[str, ...] = ()


class AddMember(_Request, frozen=True, tag="add_member"):
    """Answered by `Groups` with this one."""

    group: str
    whom: str


class RemoveMember(_Request, frozen=True, tag="remove_member"):
    """Answered by `Groups` with this one."""

    group: str
    whom: str


class LeaveGroup(_Request, frozen=True, tag="leave_group"):
    """Answered by `Done`."""

    group: str


class GetGroups(_Request, frozen=True, tag="groups"):
    """Answered by `Groups`."""


# mailboxes


class OfferMailbox(_Request, frozen=True, tag="offer_mailbox"):
    """This node keeps for `whom` what others cannot deliver, sealed. Answered by `Mailboxes`."""

    whom: str
    quota_bytes: int = 20_000_000
    keep_s: int = 30 * 86400


class EndMailbox(_Request, frozen=True, tag="end_mailbox"):
    """Ends what was offered to `whom`, and forgets what is kept; or what was asked of it. Answered by `Mailboxes`."""

    whom: str


class AskMailbox(_Request, frozen=True, tag="ask_mailbox"):
    """That node shall keep what others cannot deliver to this one; it must have offered it. Answered by `Mailboxes`."""

    whom: str


class GetMailboxes(_Request, frozen=True, tag="mailboxes"):
    """Answered by `Mailboxes`."""


# other programs of this machine


class SendNote(_Request, frozen=True, tag="send_note"):
    """Something for the program with that topic at the other node, delivered as a message is and shown to nobody.
    `body` is any text. Answered by `NoteSent`.
    """

    whom: str
    topic: str
    body: str
    once: str = ""


class TakeNotes(_Request, frozen=True, tag="take_notes"):
    """Those of the topic numbered after `since`, and forgets the others: they were dealt with. Waits up to `wait_s`
    where there is none. Answered by `Notes`.
    """

    topic: str
    since: int = 0
    wait_s: float = 0


class PostNotice(_Request, frozen=True, tag="post_notice"):
    """A line from a program of this machine in the inbox here, about a node; it is sent to nobody. Answered by
    `Sent`.
    """

    about: str
    topic: str
    text: str
    once: str = ""


class GetStatus(_Request, frozen=True, tag="status"):
    """Answered by `Status`."""


Request = (
    Send
    | GetHistory
    | Search
    | GetConversations
    | Read
    | Watch
    | GetContacts
    | SetContact
    | SendFile
    | AcceptFile
    | RefuseFile
    | FetchFile
    | GetFiles
    | MakeGroup
    | AddMember
    | RemoveMember
    | LeaveGroup
    | GetGroups
    | OfferMailbox
    | EndMailbox
    | AskMailbox
    | GetMailboxes
    | SendNote
    | TakeNotes
    | PostNotice
    | GetStatus
)
FOR_PROGRAMS = (SendNote, TakeNotes, PostNotice)
"""Asked by root, the messenger's own user, or whom messenger.yaml names for the topic."""
