"""What is said, in memory: both ends joined, every cut of every handshake, and whatever bad company may send."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.socks.client.program import make_talk
from services.socks.errors import WireError
from services.socks.model import Command, Credentials, Host, Place, Reply, Request, plain, read_host
from services.socks.room.front import Talk
from services.socks.wire.datagram import encode_head, read_datagram
from services.socks.wire.http import MAX_HEAD, HttpTalk
from services.socks.wire.socks5 import NEED_DATA, ClientTalk, NeedData, Replied, ServerTalk

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.hex"))
REQUEST = Request(Command.CONNECT, Place("example.org", 443))
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,60}[a-z])?", fullmatch=True).filter(
    lambda name: read_host(name.encode()) == name
)
HOSTS: st.SearchStrategy[Host] = st.ip_addresses(v=4).map(plain) | st.ip_addresses(v=6).map(plain) | NAMES
PLACES = st.builds(Place, HOSTS, st.integers(0, 65_535))
SECRETS = st.builds(Credentials, st.binary(min_size=1, max_size=255), st.binary(min_size=1, max_size=255))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def settle(
    client: ClientTalk, server: ServerTalk, cuts: list[int], reply: Reply, bound: Place
) -> tuple[Request, Replied]:
    """Both ends until the client has its reply."""
    asked: Request | None = None
    found: Replied | NeedData = NEED_DATA
    client.start()
    for _ in range(10):
        for piece in pieces(client.take_output(), cuts):
            event = server.feed(piece)
            if isinstance(event, Credentials):
                server.judge(accepted=True)
                event = server.feed(b"")
            if isinstance(event, Request):
                asked = event
        said = server.take_output() + (server.reply(reply, bound) if asked else b"")
        for piece in pieces(said, cuts):
            found = client.feed(piece)
        if isinstance(found, Replied):
            assert asked is not None
            return asked, found
    raise AssertionError("no end")


@given(
    command=st.sampled_from(Command),
    wanted=PLACES,
    bound=PLACES,
    reply=st.sampled_from(Reply),
    secret=SECRETS | st.none(),
    cuts=st.lists(st.integers(0, 999), max_size=6),
    pipelined=st.booleans(),
)
def test_both_ends(
    command: Command,
    wanted: Place,
    bound: Place,
    reply: Reply,
    secret: Credentials | None,
    cuts: list[int],
    pipelined: bool,
) -> None:
    request = Request(command, wanted)
    client = ClientTalk(request, secret, pipelined=pipelined)
    assert settle(client, ServerTalk(secret is not None), cuts, reply, bound) == (request, (reply, bound))


@given(rest=st.binary(max_size=40), cuts=st.lists(st.integers(0, 99), max_size=3))
def test_what_comes_early_is_kept(rest: bytes, cuts: list[int]) -> None:
    client, server = ClientTalk(REQUEST, pipelined=True), ServerTalk()
    client.start()
    assert REQUEST in [server.feed(piece) for piece in pieces(client.take_output() + rest, cuts)]
    assert server.take_rest() == rest
    client.feed(b"\5\0" + server.reply(Reply.SUCCEEDED) + rest)
    assert client.take_rest() == rest


def test_not_pipelined_waits_for_each_answer() -> None:
    client = ClientTalk(REQUEST, Credentials(b"a", b"b"))
    client.start()
    assert client.take_output() == b"\5\1\2"
    assert client.feed(b"\5\2") is NEED_DATA
    assert client.take_output() == b"\1\1a\1b"
    assert client.feed(b"\1\0") is NEED_DATA
    assert client.take_output() == b"\5\1\0\3\x0bexample.org\x01\xbb"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"\4\1", b""),
        (b"\5\1\2", b"\5\xff"),
        (b"\5\0", b"\5\xff"),
        (b"\5\1\0\5\1\0\2aa", b"\5\x08\0\1" + bytes(6)),
        (b"\5\1\0\5\1\0\3\1\0\0\x50", b"\5\x04\0\1" + bytes(6)),
        (b"\5\1\0\5\x09\0\1\1\2\3\4\0\x50", b"\5\x07\0\1" + bytes(6)),
        (b"\5\1\0\4\1\0\1\1\2\3\4\0\x50", b"\5\x01\0\1" + bytes(6)),
    ],
)
def test_a_server_says_what_is_wrong(said: bytes, answer: bytes) -> None:
    with pytest.raises(WireError) as told:
        ServerTalk().feed(said)
    assert told.value.answer == answer


def test_a_wrong_password_ends_it() -> None:
    server = ServerTalk(wants_password=True)
    assert server.feed(b"\5\2\0\2\1\3ann\2no\5\1\0\1\1\2\3\4\0\x50") == Credentials(b"ann", b"no")
    assert server.feed(b"") is NEED_DATA
    with pytest.raises(WireError) as told:
        server.judge(accepted=False)
    assert told.value.answer == b"\1\1"


@pytest.mark.parametrize("said", [b"HTTP/1.1 400", b"\5\xff", b"\5\2", b"\5\0\4\0\0\1", b"\5\0\5\0\0\7aa"])
def test_a_client_refuses_what_is_no_server(said: bytes) -> None:
    client = ClientTalk(REQUEST)
    client.start()
    with pytest.raises(WireError):
        client.feed(said)


def test_an_unknown_reply_is_a_failure() -> None:
    client = ClientTalk(REQUEST)
    client.start()
    assert client.feed(b"\5\0\5\x63\0\1" + bytes(6)) == Replied(Reply.FAILED, Place(IPv4Address(0), 0))


# HTTP


@given(
    place=PLACES.filter(lambda place: place.port > 0), rest=st.binary(max_size=20), cuts=st.lists(st.integers(0, 999))
)
def test_connect(place: Place, rest: bytes, cuts: list[int]) -> None:
    talk = HttpTalk()
    head = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nProxy-Connection: x\r\n\r\n".encode()
    found = [talk.feed(piece) for piece in pieces(head + rest, cuts)]
    assert Request(Command.CONNECT, place) in found
    assert talk.take_rest() == rest


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET http://a/ HTTP/1.1\r\n\r\n", b"405"),
        (b"CONNECT a HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT a:0 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT a:99999 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT a\x7fb:80 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT a:80 HTTP/2\r\n\r\n", b"400"),
        (b"CONNECT a:80 HTTP/1.1\r\n" + b"x" * MAX_HEAD, b"431"),
        (b"\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_connect(head: bytes, status: bytes) -> None:
    with pytest.raises(WireError) as told:
        HttpTalk().feed(head)
    assert told.value.answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("reply", Reply)
def test_http_answers_are_whole(reply: Reply) -> None:
    head, _, body = HttpTalk().reply(reply).partition(b"\r\n\r\n")
    assert (b"Content-Length: %d" % len(body) in head) is (reply is not Reply.SUCCEEDED)


# datagrams


@given(place=PLACES, payload=st.binary(max_size=100))
def test_datagrams(place: Place, payload: bytes) -> None:
    data = encode_head(place) + payload
    found, start = read_datagram(data)
    assert (found, data[start:]) == (place, payload)


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0\0\1\1\1\2\3\4\0\x50x", b"\0\0\0\1\1\2\3", b"\0\0\0\5aaaaaa"])
def test_datagrams_without_a_head(data: bytes) -> None:
    with pytest.raises(WireError):
        read_datagram(data)


def test_addresses_written_as_names() -> None:
    assert read_host(b"10.0.0.1") == IPv4Address("10.0.0.1")
    assert read_host(b"fd53::1") == IPv6Address("fd53::1")
    assert read_host(b"1.2.3") == "1.2.3"
    assert read_host(b"::ffff:10.0.0.1") == IPv4Address("10.0.0.1")
    assert read_host(b"2001:db8::1%1") is None
    assert [read_host(name) for name in (b"", b"a b", b"\xff", b"a\n")] == [None] * 4


# bad company


def check_told(error: WireError) -> None:
    """Fit for a log and for a peer."""
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert len(error.answer) < 1000


def digest(data: bytes, talk: Talk | None) -> None:
    """Nothing but the words of the protocol comes of it, and no more is held than was fed."""
    if talk is None:
        return
    try:
        for start in range(0, len(data), 7):
            found = talk.feed(data[start : start + 7])
            if isinstance(found, Credentials):
                talk.judge(accepted=len(found.name) % 2 == 0)
                found = talk.feed(b"")
            assert found is NEED_DATA or isinstance(found, Request)
            if isinstance(found, Request):
                assert talk.reply(Reply.SUCCEEDED, found.place)
                break
    except WireError as error:
        check_told(error)
    assert len(talk.take_rest()) <= len(data)


@given(data=st.binary(min_size=1, max_size=600), password=st.booleans())
def test_any_bytes(data: bytes, password: bool) -> None:
    digest(data, make_talk(data))
    digest(b"\5\2\0\2" + data, ServerTalk(password))
    digest(b"\5\1\0\5\1\0" + data, ServerTalk())
    digest(b"\5\1\2\1" + data, ServerTalk(wants_password=True))
    digest(b"CONNECT " + data, HttpTalk())
    client = ClientTalk(REQUEST, pipelined=password)
    client.start()
    try:
        client.feed(b"\5\0\5" + data)
    except WireError as error:
        check_told(error)
    try:
        read_datagram(b"\0\0\0" + data)
    except WireError as error:
        check_told(error)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corpus(path: Path) -> None:
    """Lines of hex: what once was sent by somebody wrong, or is likely to be."""
    for line in path.read_text().splitlines():
        data = bytes.fromhex(line.partition("#")[0])
        digest(data, make_talk(data))
        digest(data, ServerTalk(wants_password=True))
        digest(data, HttpTalk())
        try:
            read_datagram(data)
        except WireError as error:
            check_told(error)


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) >= 3
