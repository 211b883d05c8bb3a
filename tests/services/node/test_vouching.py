"""A node's word for a key that is not its own identity's."""

from __future__ import annotations

import msgspec
import pytest

from services.keys import Identity, new_seed
from services.manager.signed import Signed, sign
from services.node.errors import VouchError
from services.node.vouching import read_vouched, vouch

ME = Identity(new_seed())


def test_a_word_is_read_for_its_purpose_alone() -> None:
    word = vouch(ME, "messenger", b"k" * 32)
    assert read_vouched(word, "messenger") == (ME.node_id, b"k" * 32)
    with pytest.raises(VouchError):
        read_vouched(word, "mailbox")


def test_a_forged_word_is_refused() -> None:
    signed = msgspec.json.decode(vouch(ME, "messenger", b"k"), type=Signed)
    text = signed.text.replace(b"aw==", b"bA==")
    assert text != signed.text
    for data in (msgspec.json.encode(msgspec.structs.replace(signed, text=text)), b"", b"[]", b"\xff" * 99):
        with pytest.raises(VouchError):
            read_vouched(data, "messenger")


@pytest.mark.parametrize("purpose", ["", "Messenger", "x y", "x" * 33, "skywire key: messenger", "a\0b"])
def test_a_purpose_is_a_word(purpose: str) -> None:
    with pytest.raises(VouchError, match="purpose"):
        vouch(ME, purpose, b"k")


@pytest.mark.parametrize("key", [b"", b"k" * 257])
def test_a_key_has_a_length(key: bytes) -> None:
    with pytest.raises(VouchError, match="bytes"):
        vouch(ME, "messenger", key)


def test_what_a_node_signs_for_others_is_no_word_for_a_key() -> None:
    with pytest.raises(VouchError):
        read_vouched(sign(ME, "skywire service", {"key": "aw=="}), "messenger")
