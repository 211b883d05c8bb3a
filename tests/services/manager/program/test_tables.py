"""What people read: 80 columns, names where there are some, ids as short as they can be, and no terminal steered."""

import pytest

from services.keys import NodeId
from services.manager import api_words as words
from services.manager import qr, tables
from services.manager.invites import invitation_text
from services.manager.routes.model import Kind

A, B, C = NodeId("a" * 64), NodeId("a" * 8 + "b" * 56), NodeId("c" * 64)
NAMES = {str(C): "kitchen"}


def test_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    assert tables.short_ids([A, C]) == {A: "a" * 8, C: "c" * 8}
    assert tables.short_ids([A, B]) == {A: "a" * 10, B: "aaaaaaaabb"}
    assert tables.called([A, C], NAMES) == {A: "aaaaaaaa", C: "kitchen"}


def test_routes_and_links_show_names() -> None:
    routes = words.Routes((words.RouteRow("09" * 12, (A, C, B), 1420),), NAMES)
    assert tables.routes(routes) == ["route      mtu  through", "09090909  1420  aaaaaaaaaa kitchen aaaaaaaabb"]
    links = words.Links((words.LinkRow(A, C, Kind.WG, 0.0012, 0.25, 1420, True),), NAMES)
    assert tables.links(links) == [
        "from      to       kind  state  latency   loss   mtu",
        "aaaaaaaa  kitchen  wg    up      1.2 ms  25.0%  1420",
    ]


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\nb", "x" * 500])
def test_nothing_from_nodes_leaves_its_line(evil: str) -> None:
    row = words.NodeRow(A, "", evil, (evil,), evil, relays=True, is_manager=False, links=3, heard_s=None, called=evil)
    found = tables.nodes(words.Nodes((row,)))
    assert len(found) == 2
    services = tables.services(words.Services((words.ServiceRow(A, evil, 80, (evil,)),)))
    for line in (*found, *services):
        assert len(line) <= tables.COLUMNS
        assert line.isprintable()


def test_what_a_node_calls_itself_is_no_name() -> None:
    rows = [
        words.NodeRow(A, "attic", "", (), "", relays=False, is_manager=False, links=1, heard_s=1.0, called="skywire1"),
        words.NodeRow(B, "", "", (), "", relays=False, is_manager=False, links=1, heard_s=1.0, called="skywire2"),
        words.NodeRow(C, "", "", (), "", relays=False, is_manager=False, links=1, heard_s=1.0),
    ]
    assert [line.split()[1] for line in tables.nodes(words.Nodes(tuple(rows)))] == ["name", "attic", "(skywire2)", "-"]


def test_reasons_and_advice_are_wrapped() -> None:
    reason = "no two routes apart in nodes meet the policy: " + "and so on " * 20
    route = words.FoundRow((A, C), 0.002, 0.0, 0, 0.0, 1420)
    found = tables.found(words.FoundRoutes((route,), reason, NAMES))
    assert found[1].endswith("aaaaaaaa kitchen")
    assert len(found) > 4
    assert all(len(line) <= tables.COLUMNS for line in found)


def test_the_code_of_an_invitation_fits_a_terminal() -> None:
    text = invitation_text(
        "[2001:db8:1111:2222:3333:4444:5555:6666]:7997", A, "0123456789abcdef.ABCDEFGHIJKLMNOPQRSTUV"
    )
    lines = [line.removeprefix("\x1b[30;107m").removesuffix("\x1b[0m") for line in qr.lines(text)]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= 80
    assert set("".join(lines)) <= set(" ▀▄█")
