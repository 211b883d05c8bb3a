"""A rack from nothing: what its cards say is understood by the board's set-up, node and manager, and lets them join."""

from pathlib import Path

import pytest

from image.flashing.model import Personal
from image.flashing.rack import make_rack
from image.flashing.settings import render
from image.run import Runner
from services.manager import config as manager_config
from services.manager.errors import JoinError
from services.manager.invites import Rules, check_allowed
from services.node import config as node_config
from skywire_board.boards import UNKNOWN
from skywire_board.setup.plan import JOINED, MANAGER, plan
from skywire_board.setup.sources import lay_over, parse


def files_of(card: Personal) -> dict[str, str]:
    """Path on the board → what set-up would write there."""
    source = parse("skywire.yaml", render("# a card\n", card).encode(), UNKNOWN)
    return {file.path: file.text for file in plan(lay_over([source]), {}, {}).files}


def test_the_others_may_join_the_first(run: Runner, tmp_path: Path) -> None:
    first, *others = make_rack(run, Personal(name="sky"), 3)
    assert [card.name for card in (first, *others)] == ["sky-1", "sky-2", "sky-3"]
    assert len({card.identity for card in (first, *others)}) == 3
    (tmp_path / "manager.yaml").write_text(files_of(first)[MANAGER])
    manager = manager_config.load_config(tmp_path / "manager.yaml")
    assert manager.join.admit == "invited"
    rules = Rules(allowed=frozenset(manager.join.allowed))
    for card, node_id in zip(others, first.admit, strict=True):
        (tmp_path / "node.yaml").write_text(files_of(card)[JOINED])
        [joins] = node_config.load_config(tmp_path / "node.yaml").managers
        assert joins.at.split_port() == ("sky-1.local", "7997")
        assert joins.id not in (None, *first.admit)
        assert not check_allowed(manager.join.allowed[0], joins.token, rules, (), 0.0)
        assert node_id in manager.join.allowed
    with pytest.raises(JoinError):  # nobody else gets in by that token's being there
        check_allowed(type(manager.join.allowed[0])("0" * 64), "", rules, (), 0.0)
    assert others[0].invite == others[1].invite
