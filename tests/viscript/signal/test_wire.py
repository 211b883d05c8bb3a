"""The wire, against the recorded session of the design."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viscript.signal.errors import RemoteError
from viscript.signal.model import Ack, Frame, Normal, Ping, Pong
from viscript.signal.wire import FrameReader, encode

RECORDED: list[tuple[str, list[Frame]]] = [
    ("01 00000001 00000009 00 7b224964223a377d", [Normal(1, b'\x00{"Id":7}')]),
    ("80 00000001 01 00000001 00000009 80 7b224964223a377d", [Ack(1), Normal(1, b'\x80{"Id":7}')]),
    ("80 00000001", [Ack(1)]),
    ("01 00000002 00000005 01 6e756c6c", [Normal(2, b"\x01null")]),
    ("80 00000002 01 00000002 00000005 81 6e756c6c", [Ack(2), Normal(2, b"\x81null")]),
    ("80 00000002 01 00000003 00000005 00 6e756c6c", [Ack(2), Normal(3, b"\x00null")]),
    ("80 00000003 01 00000004 00000005 02 6e756c6c", [Ack(3), Normal(4, b"\x02null")]),
    (
        "80 00000004 01 00000004 0000000e 82 7b22506964223a31373732307d",
        [Ack(4), Normal(4, b'\x82{"Pid":17720}')],
    ),
    ("81 0000018bcfe56800 82 0000018bcfe56800", [Ping(1_700_000_000_000), Pong(1_700_000_000_000)]),
]

frames = st.one_of(
    st.builds(Normal, st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=300)),
    st.builds(Ack, st.integers(0, 2**32 - 1)),
    st.builds(Ping, st.integers(0, 2**64 - 1)),
    st.builds(Pong, st.integers(0, 2**64 - 1)),
)


def read_all(reader: FrameReader) -> list[Frame]:
    found = []
    while (frame := reader.next_frame()) is not None:
        found.append(frame)
    return found


@pytest.mark.parametrize(("text", "expected"), RECORDED)
def test_recorded_bytes_mean_what_the_design_says(text: str, expected: list[Frame]) -> None:
    raw = bytes.fromhex(text)
    reader = FrameReader()
    reader.feed(raw)
    assert read_all(reader) == expected
    assert b"".join(encode(frame) for frame in expected) == raw
    assert not reader.half_frame


@given(st.lists(frames, max_size=8), st.integers(1, 7))
def test_frames_survive_any_chopping(sent: list[Frame], size: int) -> None:
    raw = b"".join(encode(frame) for frame in sent)
    reader, got = FrameReader(), list[Frame]()
    for start in range(0, len(raw), size):
        reader.feed(raw[start : start + size])
        got += read_all(reader)
    assert got == sent


@given(st.binary(max_size=400))
def test_any_bytes_give_frames_or_a_remote_error(raw: bytes) -> None:
    reader = FrameReader()
    reader.feed(raw)
    with contextlib.suppress(RemoteError):
        read_all(reader)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01 00000001 00002801", "body of 10241 bytes"),
        ("01 00000001 00000000", "empty body"),
        ("47455420", "unknown frame type 0x47"),
    ],
)
def test_a_bad_head_is_refused_before_its_body_arrives(text: str, reason: str) -> None:
    reader = FrameReader()
    reader.feed(bytes.fromhex(text))
    with pytest.raises(RemoteError, match=reason):
        reader.next_frame()


def test_half_a_frame_is_waited_for() -> None:
    reader = FrameReader()
    reader.feed(bytes.fromhex("01 00000001 000000"))
    assert reader.next_frame() is None
    assert reader.half_frame
