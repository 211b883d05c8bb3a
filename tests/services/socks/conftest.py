"""The two programs, once for a module, and each of them as the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.socks.stage import Program, run_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Program]]:
    with run_pair(tmp_path_factory.mktemp("pair")) as found:
        yield found


@pytest.fixture(scope="module", params=["server", "client"])
def proxy(request: pytest.FixtureRequest, pair: tuple[Program, Program]) -> Program:
    """The server itself, and the client before it: a program sees no difference."""
    return pair[request.param == "client"]
