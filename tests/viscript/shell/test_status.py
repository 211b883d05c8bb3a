"""What `status` says of applications that ended."""

import time

from viscript.api.model import Status
from viscript.launcher.model import Ended
from viscript.shell.commands.status import show


def test_an_app_that_is_to_come_back_is_told_from_one_that_is_not() -> None:
    ended = tuple(Ended(app_id, "hasty", 3, time.time() - 64 - app_id / 10) for app_id in (2, 3))
    lines = show(Status("1", 9, 1.0, 1, 0, 0, "a:1", "c", ended=ended, waiting=(3,))).lines
    assert [line.split("  ")[-1].strip() for line in lines[-2:]] == [
        "hasty (id 2): exit 3, 1 min 4 s ago",
        "hasty (id 3): exit 3, 1 min 4 s ago, starts again soon",
    ]
