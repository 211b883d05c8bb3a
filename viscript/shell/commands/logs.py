"""`logs`: what an application wrote, also one that has ended; with -f what it goes on writing."""

from viscript.api.model import ReadLog
from viscript.errors import UsageError
from viscript.launcher.model import LogPart
from viscript.shell.model import Act, Answer, Command, Question, Talk, Word
from viscript.shell.parse import expect_count, expect_id, split_off
from viscript.shell.render import ending, plain, tame

LINES = 20


def ask(words: list[str]) -> Question[LogPart]:
    following, (app_id, lines) = _read(words)
    if following:
        raise UsageError("logs -f follows one app on one board")
    return Question(ReadLog(app_id, lines=lines), LogPart, show)


def show(part: LogPart) -> Answer:
    lines = tame(part.text).removesuffix("\n").split("\n") if part.text else []
    if part.ended is not None:
        lines.append(f"({plain(part.ended.app)} has ended: {ending(part.ended)})")
    return Answer(tuple(lines), part)


def talk(talk: Talk, words: list[str]) -> Answer:
    from viscript.shell.stream import follow  # noqa: PLC0415 (it loads the terminal's modes)

    _, (app_id, lines) = _read(words)
    follow(talk, app_id, lines)
    return Answer(act=Act.TOLD)


def is_following(words: list[str], _talk: Talk) -> bool:
    return "-f" in words


def _read(words: list[str]) -> tuple[bool, tuple[int, int]]:
    following, words = split_off(words, "-f")
    lines = LINES
    if "-n" in words:
        place = words.index("-n")
        if place + 1 >= len(words):
            raise UsageError("-n takes how many lines, such as 'logs 2 -n 50'")
        lines = expect_count("-n", words[place + 1])
        words = [*words[:place], *words[place + 2 :]]
    return following, (expect_id("logs", words), lines)


COMMAND = Command(
    ("logs",),
    "logs <id> [-f] [-n N]",
    "Show what an app wrote last; -f goes on",
    "logs 2 -n 50",
    ask,
    talk,
    is_following,
    words=(Word.APP_ID,),
    flags=("-f", "-n"),
)
