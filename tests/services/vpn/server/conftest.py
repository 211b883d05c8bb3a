"""One world for all tests of a module: what they need of the server they begin themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.services.kernel.conftest import swept
from tests.services.vpn.server.world import World, run_world

__all__ = ["swept", "world"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if os.geteuid() != 0:
        pytest.skip("makes network namespaces: run as root")
    with run_world(tmp_path_factory.mktemp("vpn")) as made:
        yield made
