"""What messengers post to one another, as frozen words: the bodies that are kept until the other end has them.

Each body is delivered exactly once, whichever way it takes: directly, again after a lost answer, or by a mailbox. Ids
are 16 random bytes, drawn by whoever sends first. A conversation is named "" between two, else by its group's id.
`sequence` is what sorts a conversation: one more than the highest its sender knew of (Lamport 1978); no clock does.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from services.keys import NodeId

ID_BYTES, STREAM_BYTES, DIGEST_BYTES = 16, 8, 32
MAX_TEXT = 16 * 1024
MAX_NOTE = 32 * 1024
MAX_FILE = 100 * 1000 * 1000
MAX_NAME, MAX_WHY, MAX_TOPIC = 64, 200, 64
MAX_FILE_NAME = 255
MAX_MEMBERS = 64
MAX_SEQUENCE = 2**53
MAX_SEALED = 72 * 1024
GROUP = "group:"

Id = Annotated[bytes, msgspec.Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
Stream = Annotated[bytes, msgspec.Meta(min_length=STREAM_BYTES, max_length=STREAM_BYTES)]
Number = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCE)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)]
Conversation = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?$")]
Why = Annotated[str, msgspec.Meta(max_length=MAX_WHY)]


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


class Text(_Body, frozen=True, tag="text"):
    """`said_ms`: its sender's clock, shown and trusted in nothing. `reply_to` is another message's id, or empty."""

    conversation: Conversation
    id: Id
    sequence: Number
    said_ms: Milliseconds
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
    reply_to: Annotated[bytes, msgspec.Meta(max_length=ID_BYTES)] = b""


class FileOffer(_Body, frozen=True, tag="file"):
    """A message that a file stands behind; its bytes are fetched once it was accepted. `digest`: BLAKE2b-256 of all.
    The file's id follows from its sender and the `nonce`, so nobody else can offer another under it.
    """

    conversation: Conversation
    id: Id
    sequence: Number
    said_ms: Milliseconds
    nonce: Id
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_FILE_NAME)]
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE)]
    digest: Annotated[bytes, msgspec.Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]


class FileWord(_Body, frozen=True, tag="file_word"):
    """What became of an offer: by the receiver, or `ended` by its sender."""

    file: Id
    word: Literal["accepted", "refused", "done", "ended"]
    why: Why = ""


class Seen(_Body, frozen=True, tag="seen"):
    """All of the other's up to that sequence was read."""

    conversation: Conversation
    upto: Number


class Arrived(_Body, frozen=True, tag="arrived"):
    """Posts of that stream that came by a mailbox, so that they need not be tried again."""

    stream: Stream
    numbers: Annotated[tuple[Number, ...], msgspec.Meta(max_length=1024)]


class GroupState(_Body, frozen=True, tag="group"):
    """`signed`: a GroupStatement by the owner's messenger."""

    signed: Annotated[bytes, msgspec.Meta(max_length=32 * 1024)]


class GroupWord(_Body, frozen=True, tag="group_word"):
    """To the owner: take me out, or tell me how it stands."""

    group: Id
    word: Literal["leave", "tell"]


class Note(_Body, frozen=True, tag="note"):
    """From a program to that with the same topic at the other end."""

    topic: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOPIC)]
    said_ms: Milliseconds
    body: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)]


class MailboxAsk(_Body, frozen=True, tag="mailbox_ask"):
    """Keep for me what comes with this token; the same again changes nothing, an empty one ends it."""

    token: Annotated[bytes, msgspec.Meta(max_length=ID_BYTES)]


class MailboxAnswer(_Body, frozen=True, tag="mailbox_answer"):
    is_agreed: bool
    why: Why = ""


class MailboxPlace(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who keeps, and the token that lets a sender deposit there."""

    node_id: NodeId
    token: Id


class MailboxPlaces(_Body, frozen=True, tag="mailboxes"):
    """Where the sender of this may be written to when it is away; replaces what was told before."""

    places: Annotated[tuple[MailboxPlace, ...], msgspec.Meta(max_length=4)]


class MailItem(_Body, frozen=True, tag="mail"):
    """From a mailbox to its owner: what was deposited."""

    sealed: Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED)]


Body = (
    Text
    | FileOffer
    | FileWord
    | Seen
    | Arrived
    | GroupState
    | GroupWord
    | Note
    | MailboxAsk
    | MailboxAnswer
    | MailboxPlaces
    | MailItem
)
NEVER_BOXED = (MailItem, MailboxAsk, MailboxAnswer, MailboxPlaces)
"""A mailbox of a mailbox would never end."""


class GroupStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is in a group, by its owner; a higher version replaces a lower one. The id is drawn from owner and nonce."""

    group: str
    owner: NodeId
    nonce: str
    version: Number
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    members: Annotated[tuple[NodeId, ...], msgspec.Meta(max_length=MAX_MEMBERS)]


class Boxed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is inside a sealed item: a post, by whom, and the signature of its messenger's key over receiver and post.
    `key` is the node's own word that this key is its messenger's.
    """

    by: NodeId
    stream: Stream
    number: Number
    body: bytes
    key: bytes
    signature: bytes
