"""What programs and other boards wrote, as the shell shows it: it steers no terminal, and no text looks like a row."""

import json

import pytest

from viscript.api.model import Apps, ConfiguredApp, RunningApp, RunningApps, SelfReport, Status, UsageReport
from viscript.launcher.model import Ended
from viscript.shell import screen
from viscript.shell.commands import apps, list_apps, res_usage, restart, start, status
from viscript.shell.model import Answer

EVIL = "a\x1b[2J\x9b31m\nPS   1"


@pytest.mark.parametrize(
    "answer",
    [
        apps.show(Apps((ConfiguredApp(EVIL, EVIL, EVIL, (EVIL,), daemon=True),))),
        list_apps.show(RunningApps((RunningApp(2, EVIL, (EVIL,), 7, connected=True),)), full=True),
        restart.show(RunningApp(2, EVIL, (EVIL,), 7, connected=True)),
        start.show(RunningApp(2, EVIL, (EVIL,), 7, connected=True)),
        res_usage.show(UsageReport(1, 0, 0, 1, 1, 1, 1, own=SelfReport(EVIL, EVIL, {EVIL: EVIL}, (EVIL,)))),
        status.show(Status(EVIL, 1, 1, 1, 1, 1, EVIL, EVIL, ended=(Ended(2, EVIL, 0, 0),))),
    ],
)
def test_what_others_wrote_steers_no_terminal_and_makes_no_row(answer: Answer) -> None:
    assert not [line for line in answer.lines if not line.isprintable() or line.startswith("PS ")]
    assert "a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}31m PS   1" in "\n".join(answer.lines)


def test_json_steers_no_terminal_either(capsys: pytest.CaptureFixture[str]) -> None:
    screen.say_json({"status": EVIL})
    shown = capsys.readouterr().out
    assert shown.removesuffix("\n").isprintable()
    assert json.loads(shown) == {"status": EVIL}
