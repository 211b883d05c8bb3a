"""What `cluster.yaml` may say, and how it is told what is wrong with it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from viscript.cluster.config import MAX_NODES, load_cluster, parse_cluster
from viscript.cluster.model import ClusterConfig
from viscript.errors import ConfigError
from viscript.signal.model import Address

RACK = """
name: pi-1
listen: "[fd53:0::1]:7998"
operators: ["fd53::2", 10.0.0.9]
nodes:
  pi-1: "[fd53::1]:7998"
  pi-2: "[fd53::2]:7998"
  old: "10.0.0.9:7000"
"""


def test_a_rack_is_read() -> None:
    config = parse_cluster(RACK, "cluster.yaml")
    assert config.names == ("pi-1", "pi-2", "old")
    assert config.listen == Address("fd53::1", 7998)
    assert config.operators == {ip_address("fd53::2"), ip_address("10.0.0.9")}
    assert config.nodes == {"pi-2": Address("fd53::2", 7998), "old": Address("10.0.0.9", 7000)}


def test_without_a_file_the_board_is_alone(tmp_path: Path) -> None:
    for path in (None, tmp_path / "cluster.yaml"):
        config = load_cluster(path)
        assert config == ClusterConfig(config.name)
        assert config.names == (config.name,)
        assert config.name


def test_a_name_alone_listens_to_nobody() -> None:
    assert parse_cluster("name: pi-1", "f") == ClusterConfig("pi-1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "f:1: the file is empty"),
        ("listen: '[fd53::1]:1'", "f:1: key 'name'"),
        ("name: all", "f:1: key 'name'"),
        ("name: a/b", "f:1: key 'name'"),
        ("name: 3", "f:1: key 'name'"),
        ("name: a\nport: 3", "f:2: unknown key 'port'"),
        ("name: a\nlisten: 'pi-1.lan:7998'", "f:2: key 'listen': expected an address"),
        ("name: a\nlisten: '[::]:7998'", "f:2: key 'listen'"),
        ("name: a\nlisten: 0.0.0.0:7998", "f:2: key 'listen'"),
        ("name: a\nlisten: '[ff02::1]:7998'", "f:2: key 'listen'"),
        ("name: a\nlisten: '[fe80::1%eth0]:7998'", "f:2: key 'listen'"),
        ("name: a\nlisten: '[fd53::1]:0'", "f:2: key 'listen'"),
        ("name: a\nlisten: 'fd53::1:7998'", "f:2: key 'listen'"),
        ("name: a\noperators: []", "f:2: key 'operators': expected 'listen' beside it"),
        ("name: a\nnodes: {}", "f:2: key 'nodes': expected 'listen' beside it"),
        ("name: a\nlisten: 10.0.0.1:1\noperators: 10.0.0.2", "f:3: key 'operators': expected a list"),
        ("name: a\nlisten: 10.0.0.1:1\noperators:\n- 10.0.0.2\n- 10.0.0.0/8", "f:5: key 'operators'"),
        ("name: a\nlisten: 10.0.0.1:1\noperators: ['*']", "f:3: key 'operators'"),
        ("name: a\nlisten: 10.0.0.1:1\nnodes: {b: 10.0.0.2}", "f:3: key 'nodes.b'"),
        ("name: a\nlisten: 10.0.0.1:1\nnodes: {all: 10.0.0.2:1}", "f:3: key 'nodes.all'"),
        ("name: a\nlisten: 10.0.0.1:1\nnodes:\n  b: 10.0.0.2:1\n  c: 10.0.0.2:1", "f:5: key 'nodes.c'"),
        ("name: a\nlisten: 10.0.0.1:1\nnodes: {a: 10.0.0.2:1}", "f:3: key 'nodes.a'"),
        ("name: a\nlisten: 10.0.0.1:1\nnodes: {b: 10.0.0.1:1}", "f:3: key 'nodes.b'"),
        ("name: a\nlisten: 10.0.0.1:1\nnodes: {b: 10.0.0.2:1, b: 10.0.0.3:1}", "f:3: key 'b' is given twice"),
        ("name: [", "f:1: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cluster(text, "f")
    assert str(caught.value).startswith(told)


def test_too_many_boards_are_refused() -> None:
    nodes = "".join(f"  b{number}: '[fd53::{number:x}]:1'\n" for number in range(2, MAX_NODES + 3))
    with pytest.raises(ConfigError, match="at most 512 boards, not 513"):
        parse_cluster(f"name: a\nlisten: '[fd53::1]:1'\nnodes:\n{nodes}", "f")
