"""Who links with whom: few, from both sides, joined, and steady when others come and go."""

import random
from itertools import chain

import pytest

from services.keys import Identity, NodeId, new_seed
from services.manager.neighbours import MOST, MOST_LEAVES, RELAYS_OF_ONE, Links, plan_neighbours

IDS = [Identity(new_seed()).node_id for _ in range(120)]
HUBS = IDS[:3]


def network(count: int, share_of_relays: float = 1.0) -> dict[NodeId, bool]:
    """The managers' nodes first."""
    chance = random.Random(7)
    return {node_id: node_id in HUBS or chance.random() < share_of_relays for node_id in IDS[:count]}


def reached(links: Links, over: set[NodeId]) -> set[NodeId]:
    """From the first, over those alone."""
    start = next(iter(over))
    seen, todo = {start}, [start]
    while todo:
        new = (links[todo.pop()] & over) - seen
        seen |= new
        todo += new
    return seen


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10, 16, 17, 40, 120])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_links_are_few_mutual_and_reach_everyone(count: int, share: float) -> None:
    relays = network(count, share)
    hubs = [hub for hub in HUBS if hub in relays]
    links = plan_neighbours(relays, hubs)
    assert links.keys() == relays.keys()
    assert all(node_id in links[other] for node_id, others in links.items() for other in others)
    assert all(node_id not in others for node_id, others in links.items())
    assert reached(links, set(relays)) == set(relays)
    for node_id in relays.keys() - set(HUBS):
        assert links[node_id] >= set(hubs)
        most = MOST + MOST_LEAVES if relays[node_id] else max(MOST, RELAYS_OF_ONE)
        assert len(links[node_id] - set(hubs)) <= most


def test_a_small_network_is_meshed_in_full() -> None:
    links = plan_neighbours(network(16, 0.3), HUBS)
    assert all(len(others) == 15 for others in links.values())


def test_relays_are_joined_without_managers_and_leaves_have_two_ways() -> None:
    relays = network(120, 0.3)
    links = plan_neighbours(relays, HUBS)
    carrying = {node_id for node_id, relay in relays.items() if relay} - set(HUBS)
    assert reached(links, carrying) == carrying
    assert all(len(links[leaf] & carrying) == RELAYS_OF_ONE for leaf in relays.keys() - carrying - set(HUBS))


def test_who_comes_changes_little() -> None:
    relays = network(119)
    before = plan_neighbours(relays, HUBS)
    after = plan_neighbours({**relays, IDS[119]: True}, HUBS)
    changed = [node_id for node_id in before if before[node_id] != after[node_id]]
    assert len(changed) <= MOST + len(HUBS)
    assert plan_neighbours(dict(sorted(relays.items())), sorted(HUBS)) == before, "no order matters"
    assert set(chain(*after.values())) == set(IDS[:120])
