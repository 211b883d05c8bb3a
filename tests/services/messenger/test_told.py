"""What people are shown of messages and files: within 80 columns, whatever others wrote."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.keys import NodeId
from services.messenger.api_words import (
    Contact,
    Contacts,
    Conversation,
    Conversations,
    FileState,
    Group,
    GroupMember,
    Groups,
    Kept,
    Mailbox,
    Mailboxes,
    Message,
    Receipt,
    Status,
)
from services.messenger.told import (
    contacts_lines,
    files_lines,
    groups_lines,
    history_lines,
    inbox_lines,
    mailboxes_lines,
    message_lines,
    status_lines,
)

ME, ALICE, BOB = (NodeId(letter * 64) for letter in "0ab")
ANY = st.text(max_size=120)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def said(text: str, **more: object) -> Message:
    words: dict[str, object] = {
        "number": 1,
        "id": "1" * 32,
        "conversation": ALICE,
        "sender": ALICE,
        "name": "alice",
        "is_mine": False,
        "kind": "text",
        "text": text,
        "sent_unix_s": 43_200.0,
        "kept_unix_s": 43_200.0,
        "state": "unread",
    }
    return Message(**{**words, **more})  # type: ignore[arg-type]


def sent(text: str, **more: object) -> Message:
    return said(text, **{"sender": ME, "name": "", "is_mine": True, "state": "waiting", **more})


def file(**more: object) -> FileState:
    words: dict[str, object] = {
        "id": "9c1f03ab" + "0" * 24,
        "conversation": ALICE,
        "node_id": ALICE,
        "name": "a b.iso",
        "size": 20_000_000,
        "is_mine": False,
        "stage": "moving",
        "done_bytes": 5_000_000,
    }
    return FileState(**{**words, **more})  # type: ignore[arg-type]


def test_a_conversation() -> None:
    lines = history_lines(
        [
            said("hello"),
            said("two\n  lines", kept_unix_s=43_260.0),
            sent("yes", state="read"),
            sent("so", state="delivered"),
            sent("and", why="alice is away"),
            sent("all", receipts=(Receipt(ALICE, "read"), Receipt(BOB, "waiting"))),
            said("", kind="file", file=file(), kept_unix_s=86_400.0),
            said("wants to peer", kind="notice", topic="peering", kept_unix_s=86_400.0),
        ],
        "",
    )
    assert lines == [
        "-- Thursday, 01 January 1970",
        "12:00 alice: hello",
        "12:01 alice: two",
        "        lines",
        "12:00 me: yes",
        "      [read]",
        "12:00 me: so",
        "12:00 me: and",
        "      [waiting: alice is away]",
        "12:00 me: all",
        "      [waiting (1 of 2 have it)]",
        "-- Friday, 02 January 1970",
        "00:00 alice: file 9c1f03ab 'a b.iso', 20 MB, 25 % here",
        "00:00 (peering): wants to peer",
    ]


def test_several_conversations_together() -> None:
    names = {ALICE: "alice", "group:" + "c" * 32: "friends"}
    in_group = said("hi", conversation="group:" + "c" * 32)
    assert [message_lines(one, names)[0] for one in (said("hi"), sent("hi"), in_group)] == [
        "12:00 alice: hi",
        "12:00 me to alice: hi",
        "12:00 alice in friends: hi",
    ]


def test_the_inbox() -> None:
    of_bob = said("later", conversation=BOB, sender=BOB, name="")
    conversations = Conversations((Conversation(ALICE, "alice", 2, 1), Conversation(BOB, "", 0, 0)))
    assert inbox_lines(conversations, [said("hello"), of_bob], "history WHO") == [
        "alice: 2 new",
        "  12:00 alice: hello",
        "  … and 1 more",
        "1 of your messages wait until they can be delivered (see: contacts)",
    ]
    assert inbox_lines(Conversations(()), [], "history WHO") == ["nothing new (what was said before: history WHO)"]


def test_tables() -> None:
    contacts = Contacts(
        (Contact(ALICE, "alice", "pet", True, unread=3), Contact(BOB, "", "", False, 43_200.0, is_blocked=True))
    )
    assert contacts_lines(contacts) == [
        "NAME   NODE          NAMED BY  STATE                             NEW",
        "alice  aaaaaaaaaaaa  pet       there                               3",
        "-      bbbbbbbbbbbb  -         away since 01 Jan 12:00, blocked    -",
    ]
    assert files_lines([file(), file(stage="offered", is_mine=True, done_bytes=0)], {ALICE: "alice"}) == [
        "FILE      NAME      SIZE  WITH        STATE",
        "9c1f03ab  a b.iso  20 MB  from alice  25 % here",
        "9c1f03ab  a b.iso  20 MB  to alice    offered",
    ]
    members = (GroupMember(ME, ""), GroupMember(ALICE, "alice"))
    assert groups_lines(Groups((Group("group:" + "c" * 32, "friends", ME, 2, members),)), ME) == [
        "GROUP     NAME     OWNER  MEMBERS",
        "cccccccc  friends  me     me, alice",
    ]
    boxes = Mailboxes((Mailbox(BOB, "bob", False),), (Kept(ALICE, "alice", 20_000_000, 86400, 3, 4096),))
    assert mailboxes_lines(boxes) == [
        "bob was asked to keep for this node: no answer yet",
        "this node keeps for alice: 3 items, 4096 B of 20 MB, each for a day at most",
    ]


def test_empty_tables_say_what_to_do() -> None:
    for lines in (
        contacts_lines(Contacts(())),
        files_lines([], {}),
        groups_lines(Groups(()), ME),
        mailboxes_lines(Mailboxes((), ())),
    ):
        assert len(lines) in {1, 2}
        assert any(word in " ".join(lines) for word in ("msg", "send-file", "groups make", "mailbox offer"))


@given(ANY, ANY, ANY, st.sampled_from(["waiting", "failed", "read"]), st.booleans())
def test_nothing_is_wider_than_80_columns_or_steers_a_terminal(
    text: str, name: str, why: str, state: str, is_mine: bool
) -> None:
    message = said(text, name=name, why=why, state=state, is_mine=is_mine, file=None)
    with_file = said("", kind="file", file=file(name=name, why=why, stage="failed"))
    one = Group("group:1", name, ALICE, 1, (GroupMember(ALICE, name), GroupMember(BOB, text)))
    status = Status(ME, "1", True, why, 1, 1, 1, 1, 1, 1, 1, 1, 1, {name: 3})
    for lines in (
        history_lines([message, with_file], "", {ALICE: name}),
        inbox_lines(Conversations((Conversation(ALICE, name, 1, 1),)), [message, with_file], "inbox WHO"),
        contacts_lines(Contacts((Contact(ALICE, name, "vouched", False, 1.0, 9999, is_blocked=True),))),
        files_lines([file(name=name, why=why, stage="failed", size=10**8)], {ALICE: text}),
        groups_lines(Groups((one,)), ME),
        mailboxes_lines(Mailboxes((Mailbox(BOB, name, False, why),), (Kept(ALICE, name, 1, 1, 1, 1),))),
        status_lines(status),
    ):
        for line in lines:
            assert len(line) <= 80
            assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in line)
