"""The HTTP that boards speak: what is answered with which bytes, and what is refused with which status."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.updates import ranges
from services.updates.errors import RequestError

SIZE = 1000
GET = b"GET /updates/x HTTP/1.1\r\nHost: a\r\n"


def head(*fields: str, line: str = "GET /updates/x HTTP/1.1", host: str = "Host: [fd53::1]:7996") -> bytes:
    return "\r\n".join([line, *([host] if host else []), *fields]).encode("latin-1") + ranges.HEAD_END


def test_a_head() -> None:
    assert ranges.read_head(head()) == ("/updates/x", False, "", True)
    wanted = ranges.read_head(head("RANGE:  bytes=0-3 ", "user-agent: RAUC/1.13", line="HEAD /updates/x HTTP/1.1"))
    assert wanted == ("/updates/x", True, "bytes=0-3", True)
    assert not ranges.read_head(head("Connection: Close, x")).stays
    assert not ranges.read_head(head(line="GET / HTTP/1.0", host="")).stays
    assert ranges.read_head(head("Connection: keep-alive", line="GET / HTTP/1.0")).stays


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (head(line="POST / HTTP/1.1"), 405),
        (head(line="DELETE /updates/x HTTP/1.1"), 405),
        (head(line="GET / HTTP/2.0"), 505),
        (head(line="GET http://a/ HTTP/1.1"), 400),
        (head(line="GET  / HTTP/1.1"), 400),
        (head(line="get / HTTP/1.1"), 400),
        (head(line=f"GET /{'a' * 1100} HTTP/1.1"), 400),
        (head(line=""), 400),
        (head(host=""), 400),
        (head("Host: b"), 400),
        (head("Range: bytes=0-1", "range: bytes=2-3"), 400),
        (head("Content-Length: 5"), 400),
        (head("Transfer-Encoding: chunked"), 400),
        (head("No colon"), 400),
        (head(" folded: x"), 400),
        (head("A b: x"), 400),
        (head("A: x\0"), 400),
        (head("A: x\ny"), 400),
        (head(*(f"X-{number}: 1" for number in range(70))), 431),
    ],
)
def test_heads_that_are_refused(data: bytes, code: int) -> None:
    with pytest.raises(RequestError) as refused:
        ranges.read_head(data)
    assert refused.value.code == code
    told = ranges.refuse(refused.value)
    assert told.startswith(f"HTTP/1.1 {code} ".encode())
    assert b"Connection: close\r\n" in told


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-3", (0, 4)),
        ("bytes=990-2000", (990, 1000)),
        ("bytes=999-", (999, 1000)),
        ("bytes=0-", (0, 1000)),
        ("bytes=-8", (992, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes= 5-6", (5, 7)),
        ("bytes=0-1,5-6", None),
        ("bytes=6-5", None),
        ("bytes=-", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=9999999999999999-", None),
    ],
)
def test_ranges(wanted: str, part: tuple[int, int] | None) -> None:
    assert ranges.read_range(wanted, SIZE) == part


@pytest.mark.parametrize("wanted", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=999999999999999-"])
def test_ranges_beyond_the_end(wanted: str) -> None:
    with pytest.raises(RequestError) as refused:
        ranges.read_range(wanted, SIZE)
    assert refused.value.code == 416
    assert b"Content-Range: bytes */1000\r\n" in ranges.refuse(refused.value, SIZE)


def test_what_is_sent() -> None:
    whole = ranges.answer(ranges.read_head(head()), SIZE, "tag")
    assert whole.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (whole.start, whole.stop) == (0, SIZE)
    part = ranges.answer(ranges.read_head(head("Range: bytes=10-19")), SIZE, "tag")
    assert part.head.startswith(b"HTTP/1.1 206 Partial Content\r\n")
    assert b"Content-Length: 10\r\n" in part.head
    assert b"Content-Range: bytes 10-19/1000\r\n" in part.head
    assert (part.start, part.stop) == (10, 20)
    none = ranges.answer(ranges.read_head(head(line="HEAD /updates/x HTTP/1.1")), SIZE, "tag")
    assert b"Content-Length: 1000\r\n" in none.head
    assert none.start == none.stop


@given(st.binary(max_size=400))
def test_noise(data: bytes) -> None:
    for one in (data, GET + data):
        with contextlib.suppress(RequestError):
            reply = ranges.answer(ranges.read_head(one + ranges.HEAD_END), SIZE, "tag")
            assert 0 <= reply.start <= reply.stop <= SIZE


@given(st.text("bytes=0123456789-, x", max_size=30), st.integers(1, 1 << 40))
def test_any_range_lies_inside(wanted: str, size: int) -> None:
    with contextlib.suppress(RequestError):
        part = ranges.read_range(wanted, size)
        assert part is None or 0 <= part[0] < part[1] <= size
