"""How `tests/run` shares the tests out to its processes: by module, but all of `tests/mesh` to one of them, since its
modules share networks that take long to come up. And hypothesis measures no time: a busy machine takes any.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

MESH = "tests/mesh/"

settings.register_profile("house", deadline=None)
settings.load_profile("house")


def scope_of(nodeid: str) -> str:
    """What one process does in one go."""
    return MESH if nodeid.startswith(MESH) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # by the number of tests: the long ones would be left for the end
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = scope_of
    return scheduler
