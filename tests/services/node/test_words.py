"""Settings, kept files, a link's figures and the line of status: the parts without doors."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from services.errors import SettingsError
from services.kernel.rules import Host
from services.manager.asks import Neighbours
from services.node.config import Config, load_config, read_endpoint
from services.node.errors import KeptError
from services.node.figures import LOST_IN_A_ROW, Figures
from services.node.keeper import FIRST_S, SLOWEST_S, pace
from services.node.kept import Kept
from services.node.status import Measured, tell
from services.settings_file import parse_settings

WHOLE = """
seed: /data/identity/seed
managers: [{at: "203.0.113.1", id: "%s"}, {at: "[2001:db8::1]:8000", token: abc}]
link_networks: [10.128.0.0/9]
wires: [192.168.1.0/24]
endpoints: ["[2001:db8::7]:51820"]
host: board
outside: [tcp/22, udp/5353]
"""
ID = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
INVITED = f"skywire:{ID}@198.51.100.7:7997/{16 * 'a'}.{22 * 'b'}"


def test_a_pasted_invitation_says_where_at_whom_and_by_what() -> None:
    (place,) = parse_settings(f'managers: [{{invitation: "{INVITED}"}}]', Config, "node.yaml").managers
    assert (place.at, place.id, place.token) == ("198.51.100.7:7997", ID, f"{16 * 'a'}.{22 * 'b'}")
    assert "bbb" not in repr(place)


def test_a_whole_configuration() -> None:
    config = parse_settings(WHOLE.replace("%s", ID), Config, "node.yaml")
    assert [place.at.split_port() for place in config.managers] == [("203.0.113.1", "7997"), ("2001:db8::1", "8000")]
    assert config.managers[0].id == ID
    assert config.rules.host is Host.BOARD
    assert config.outside_ports == [("tcp", 22), ("udp", 5353)]
    assert "abc" not in repr(config)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nrelays: 3", "node.yaml:2: key 'relays'"),
        ("relays: true\nlinkport: 1", "node.yaml:2: unknown key 'linkport'"),
        ("link_port: 51821", "must differ"),
        ("link_port: 4789", "VXLAN"),
        ("wires:\n- 10.0.0.0/8\n- 10.0.0.1/8", "node.yaml:3: key 'wires[1]'"),
        ("managers: [{token: a}]", "or 'invitation: skywire:…'"),
        ("managers: [{invitation: 'skywire:ab@here/c'}]", "no invitation"),
        (f"managers: [{{at: a, invitation: '{INVITED}'}}]", "leave those out"),
        (f'managers: [{{at: "a b", id: "{ID}"}}]', "expected host:port"),
        ('managers: [{at: "a", id: "00"}]', "not a node id"),
        ("outside: [tcp/0]", "tcp/PORT"),
        ("endpoints: ['::1:5']", "expected address:port"),
        ("host: laptop", "node.yaml:1: key 'host'"),
    ],
)
def test_settings_that_are_refused(text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, Config, "node.yaml")
    assert told in str(caught.value)


def test_a_configuration_lies_over_its_defaults(tmp_path: Path) -> None:
    defaults, own = tmp_path / "defaults.yaml", tmp_path / "node.yaml"
    defaults.write_text("host: board\nlink_port: 7")
    assert load_config(own, defaults).link_port == 7
    own.write_text("link_port: 8")
    config = load_config(own, defaults)
    assert (config.link_port, config.host) == (8, Host.BOARD)
    with pytest.raises(SettingsError):
        load_config(tmp_path / "none.yaml")


def test_endpoints_are_read_as_they_are_written() -> None:
    assert read_endpoint("[2001:db8::7]:51820").port == 51820
    for text in ("10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "::1:5", "[10.0.0.1]:5"):
        with pytest.raises(ValueError, match=r"address|port"):
            read_endpoint(text)


# kept files


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_kept_is_whole_or_not_there(tmp_path: Path, durable: bool) -> None:
    folder = tmp_path / "ram"
    kept, words = Kept(folder, durable=durable), Neighbours((b"1",), {"a": "b"})
    assert kept.read("some", Neighbours) is None
    kept.write("some", words)
    (folder / ".some.json.new").write_bytes(b"{half of a later one")
    again = Kept(folder)
    assert again.read("some", Neighbours) == words
    assert again.names() == ["some"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "some.json").stat().st_mode & 0o777 == 0o600
    (folder / "some.json").write_bytes(b"{broken")
    assert again.read("some", Neighbours) is None
    again.remove("some")
    again.remove("some")
    assert again.names() == []


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    for name in ("../seed", "a/b", "", ".hidden", "a\0"):
        with pytest.raises(KeptError, match="no name"):
            Kept(tmp_path).write(name, {})
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeptError, match="cannot use folder"):
        Kept(tmp_path / "file")


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.write("some", [1])
    (tmp_path / ".some.json.new").mkdir()
    with pytest.raises(KeptError, match="cannot write"):
        kept.write("some", [2])
    assert msgspec.json.decode((tmp_path / "some.json").read_bytes()) == [1]


# figures


def test_a_link_is_up_at_the_first_answer_and_down_after_three_losses() -> None:
    figures = Figures(0.0)
    figures.lost(1.0)
    assert figures.state == (False, 0.0)
    figures.answered(0.010, 2.0)
    assert figures.state == (True, 2.0)
    assert figures.has_news()
    figures.report()
    for number in range(LOST_IN_A_ROW - 1):
        figures.lost(3.0 + number)
    figures.answered(0.010, 5.0)
    seen = []
    for number in range(LOST_IN_A_ROW):
        seen.append(figures.is_up)
        figures.lost(6.0 + number)
    assert all(seen)
    assert figures.state == (False, 8.0)
    assert figures.has_news()
    figures.report()
    assert not figures.has_news()
    figures.answered(0.5, 9.0)
    assert figures.rtt_s == 0.5, "it is another way now"
    assert figures.loss == 0.0


def test_a_neighbour_is_sought_in_ever_slower_turns() -> None:
    turns = [pace(down_s) for down_s in (0.0, 1.0, 2.0, 4.0, 30.0, 300.0, 1e6)]
    assert turns == sorted(turns)
    assert (turns[0], turns[-1]) == (FIRST_S, SLOWEST_S)


def test_small_changes_are_no_news() -> None:
    figures = Figures(0.0)
    figures.answered(0.100, 0.0)
    figures.report()
    for number in range(20):
        figures.answered(0.110, float(number))
    assert not figures.has_news()
    assert figures.rtt_s == pytest.approx(0.110, abs=0.002)
    for number in range(40):
        figures.answered(0.200, float(number))
    assert figures.has_news()
    assert figures.patience_s == pytest.approx(0.6, abs=0.02)


def test_much_loss_is_news() -> None:
    figures = Figures(0.0)
    for number in range(60):
        figures.answered(0.001, float(number))
    figures.report()
    for number in range(4):
        figures.lost(float(number))
        figures.answered(0.001, float(number))
    assert figures.loss == pytest.approx(4 / 60)
    assert figures.has_news()


# status


@pytest.mark.parametrize(
    ("measured", "line"),
    [
        (Measured(0.00123, "", 3, 3, 2), "works: manager 1.2 ms, 3 of 3 links, 2 sessions"),
        (Measured(0.0316, "", 3, 1, 1), "works: manager 32 ms, 1 of 3 links, 1 session"),
        (Measured(0.001, "", 0, 0, 0), "works: manager 1.0 ms, no neighbours, 0 sessions"),
        (Measured(0.001, "", 3, 0, 0), "NOT working: no link answers (3 tried)"),
        (Measured(None, "the bus is away", 2, 2, 1), "NOT working: the bus is away (2 of 2 links, 1 session go on)"),
        (Measured(None, "no manager is configured", 0, 0, 0), "NOT working: no manager is configured"),
    ],
)
def test_the_line_of_status(measured: Measured, line: str) -> None:
    assert tell(measured) == line
    assert measured.works == line.startswith("works")
