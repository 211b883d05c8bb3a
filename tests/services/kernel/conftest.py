"""Hosts for the tests of this folder, taken away whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.services.kernel.hosts import Host, sweep

MakeHost = Callable[[str], Host]


@pytest.fixture(scope="session", autouse=True)
def swept() -> None:
    if os.geteuid() == 0:
        sweep()


@pytest.fixture
def make_host() -> Iterator[MakeHost]:
    if os.geteuid() != 0:
        pytest.skip("makes network namespaces: run as root")
    with ExitStack() as stack:

        def make(name: str) -> Host:
            host = Host(name)
            stack.callback(host.close)
            return host

        yield make
