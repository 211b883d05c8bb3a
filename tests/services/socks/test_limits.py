"""What one client may have, and whom a client of ours asks next: both by the clock that they are given."""

from services.app.choice import Choice, Server
from services.keys import NodeId
from services.socks.client.pool import Known, Pool
from services.socks.limits import Clients, Limits, Over
from services.socks.room.ground import in_units


def test_connections_of_one_client() -> None:
    clients = Clients(Limits(per_client=2, connections=3))
    assert [clients.enter("a", 0) for _ in range(3)] == [None, None, Over.CONNECTIONS]
    full = [clients.is_full]
    clients.leave("a", 0)
    assert [*full, clients.is_full] == [True, False]
    assert clients.enter("b", 0) is None
    assert len(clients) == 2


def test_connections_in_a_second() -> None:
    clients = Clients(Limits(per_second=2, burst=3))
    assert [clients.enter("a", 10.0) for _ in range(4)] == [None, None, None, Over.RATE]
    assert clients.enter("b", 10.0) is None
    assert [clients.enter("a", 10.6) for _ in range(2)] == [None, Over.RATE]
    assert [clients.enter("a", 100.0) for _ in range(4)] == [None, None, None, Over.RATE]


def test_associations_of_one_client() -> None:
    clients = Clients(Limits(associations=1))
    clients.enter("a", 0)
    assert clients.associate("a") is None
    assert clients.associate("a") is Over.ASSOCIATIONS
    clients.dissociate("a")
    assert clients.associate("a") is None


def test_who_is_gone_is_forgotten() -> None:
    clients = Clients(Limits(connections=10, per_second=1, burst=1))
    for number in range(1000):
        clients.enter(number, number)
        clients.leave(number, number)
    assert len(clients._held) <= 21


def pool_of(*names: str, by: str = "first") -> tuple[Pool, dict[str, Known]]:
    pool = Pool(Choice(by=by), lambda found: found.reverse())  # type: ignore[arg-type]
    pool.take([Server(NodeId(name), "socks", "::1", 1080) for name in names])
    return pool, {one.server.node_id: one for one in pool.known}


def names(found: list[Known]) -> str:
    return "".join(one.server.node_id for one in found)


def test_only_open_ones_are_dialled() -> None:
    pool, known = pool_of("a", "b")
    assert names(pool.order(0)) == ""
    assert names(pool.to_open(2)) == "ab"
    pool.worked(known["b"])
    assert names(pool.order(0)) == "b"
    assert names(pool.to_open(1)) == ""


def test_who_failed_comes_last_and_rests_ever_longer() -> None:
    pool, known = pool_of("a", "b", "c")
    for one in pool.known:
        pool.worked(one)
    assert names(pool.order(0)) == "abc"
    pool.failed(known["a"], 0, "it is off")
    assert names(pool.order(0)) == names(pool.order(99)) == "bca"
    for _ in range(20):
        pool.failed(known["b"], 100, "too")
    assert known["b"].rests_until_s == 160
    assert names(pool.order(101)) == "cab"
    pool.worked(known["a"])
    assert names(pool.order(101)) == "acb"
    assert pool.told() == "2 of 3 servers ready"


def test_at_random_each_time() -> None:
    pool, _ = pool_of("a", "b", by="random")
    for one in pool.known:
        pool.worked(one)
    assert names(pool.order(0)) == "ba"


def test_a_new_list_keeps_what_is_remembered() -> None:
    pool, known = pool_of("a", "b")
    pool.worked(known["a"])
    pool.take([Server(NodeId(name), "socks", "::1", 1080) for name in "cab"])
    assert names(pool.order(0)) == "a"
    assert names(pool.known) == "cab"


def test_units() -> None:
    assert [in_units(count) for count in (0, 999, 1000, 1_234_567, 10**16)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "1.23 MB",
        "1e+04 TB",
    ]
