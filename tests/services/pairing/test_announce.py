"""What systemd-resolved is given to say, and what a board that joined is given to remember."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.keys import Identity, NodeId, new_seed
from services.node.config import load_config
from services.pairing.announce import Announced, dnssd_text, write_announced
from services.pairing.errors import DoorError
from services.pairing.joined import write_joined
from services.pairing.model import Welcome

ID = Identity(new_seed()).node_id


def test_a_board_says_who_it_is() -> None:
    text = dnssd_text(Announced(ID, "0.1.0+ab12 and more", is_claimed=False, is_member=False))
    assert text.splitlines() == [
        "[Service]",
        "Name=%H",
        "Type=_skywire._tcp",
        "Port=22",
        f"TxtText=id={ID[:16]} version=0.1.0+ab12 claimed=no role=manager",
    ]


def test_it_is_written_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "dnssd/skywire.dnssd"
    board = Announced(NodeId(ID), "", is_claimed=False, is_member=False)
    assert write_announced(path, board)
    assert not write_announced(path, board)
    assert write_announced(path, Announced(NodeId(ID), "", is_claimed=True, is_member=True))
    assert "claimed=yes role=member" in path.read_text()
    assert [found.name for found in path.parent.iterdir()] == ["skywire.dnssd"]
    (tmp_path / "file").touch()
    with pytest.raises(DoorError, match="cannot announce"):
        write_announced(tmp_path / "file/x.dnssd", board)


def test_a_joined_network_is_a_layer_that_the_node_reads(tmp_path: Path) -> None:
    image, joined = tmp_path / "node.yaml", tmp_path / "joined.yaml"
    image.write_text('managers: [{at: "127.0.0.1:7997"}]\n')
    write_joined(joined, Welcome(ID, ("192.0.2.1:7997", "one.local:7997"), 'a "name"\nmanagers: []'))
    assert joined.stat().st_mode & 0o777 == 0o600
    places = load_config(None, (image, joined)).managers
    assert [(place.at, place.id) for place in places] == [("192.0.2.1:7997", ID), ("one.local:7997", ID)]
    with pytest.raises(DoorError, match="cannot note"):
        write_joined(image / "joined.yaml", Welcome(ID, ("192.0.2.1:7997",), "x"))
