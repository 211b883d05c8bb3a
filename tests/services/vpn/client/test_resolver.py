"""Files of resolvers: set, set again, set back, also by another after a crash."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from services.vpn.client.resolver import KEPT, OURS, ResolvConf, Resolved, find_uplink_conf
from services.vpn.client.ways import Lent
from services.vpn.errors import ResolverError

LENT = Lent(IPv4Address("100.64.0.7"), None, (IPv4Address("100.64.0.1"),), 1328)
OTHER = Lent(IPv4Address("100.64.4.7"), None, (IPv4Address("100.64.4.1"),), 1328)
BEFORE = "search home\nnameserver 192.168.1.1\n"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text(BEFORE)
    return path


def use(path: Path, lent: Lent = LENT) -> bool:
    return asyncio.run(ResolvConf(path).use(lent))


def restore(path: Path) -> None:
    asyncio.run(ResolvConf(path).restore())


def test_it_is_set_and_comes_back(conf: Path) -> None:
    assert use(conf)
    assert conf.read_text() == f"{OURS}nameserver 100.64.0.1\n"
    assert not use(conf)
    assert use(conf, OTHER)
    restore(conf)
    assert conf.read_text() == BEFORE
    assert [path.name for path in conf.parent.iterdir()] == ["resolv.conf"]


def test_what_dhcp_wrote_meanwhile_is_the_original_then(conf: Path) -> None:
    use(conf)
    conf.write_text("nameserver 10.0.0.1\n")
    assert use(conf)
    restore(conf)
    assert conf.read_text() == "nameserver 10.0.0.1\n"


def test_what_dhcp_wrote_at_last_stays(conf: Path) -> None:
    use(conf)
    conf.write_text("nameserver 10.0.0.1\n")
    restore(conf)
    assert conf.read_text() == "nameserver 10.0.0.1\n"
    assert not conf.with_name(conf.name + KEPT).exists()


def test_a_link_comes_back_as_a_link(conf: Path) -> None:
    target = conf.with_name("stub")
    conf.rename(target)
    conf.symlink_to("stub")
    use(conf)
    assert target.read_text() == BEFORE
    restore(conf)
    assert conf.is_symlink()
    assert conf.read_text() == BEFORE


def test_where_there_was_none_there_is_none(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    use(conf)
    restore(conf)
    assert list(tmp_path.iterdir()) == []


def test_a_portal_asks_the_original(conf: Path) -> None:
    use(conf)
    found = find_uplink_conf(conf)
    assert found is not None
    assert found.read_text() == BEFORE


def test_systemd_resolved_gets_a_file_and_starts_again(tmp_path: Path) -> None:
    drop_in, rung = tmp_path / "resolved.conf.d" / "vpn.conf", tmp_path / "rung"
    resolved = Resolved(drop_in, ("sh", "-c", f"echo x >>{rung}"))
    assert asyncio.run(resolved.use(LENT))
    assert "DNS=100.64.0.1\nDomains=~.\n" in drop_in.read_text()
    assert not asyncio.run(resolved.use(LENT))
    asyncio.run(resolved.restore())
    asyncio.run(resolved.restore())
    assert not drop_in.exists()
    assert rung.read_text() == "x\nx\n"


def test_what_cannot_be_started_again_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResolverError, match="could not be started again"):
        asyncio.run(Resolved(tmp_path / "vpn.conf", ("false",)).use(LENT))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResolverError, match="dns: leave"):
        use(tmp_path / "no" / "resolv.conf")
