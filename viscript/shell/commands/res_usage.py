"""`res_usage`: what an app and its children use, and what it says of itself; with -g Go's line of memory figures."""

from typing import Any

from viscript.api.model import AskMemStats, AskUsage, MemStats, SelfReport, UsageReport
from viscript.shell.model import Answer, Command, Question, Word
from viscript.shell.parse import expect_id, split_off
from viscript.shell.render import duration, line, pairs, quantity

GO_FIGURES = ("HeapAlloc", "HeapSys", "HeapIdle", "HeapInuse", "StackSys", "StackInuse")


def ask(words: list[str]) -> Question[Any]:
    as_go, words = split_off(words, "-g")
    app_id = expect_id("res_usage", words)
    if as_go:
        return Question(AskMemStats(app_id), MemStats, show_as_go)
    return Question(AskUsage(app_id), UsageReport, show)


def show_as_go(found: MemStats) -> Answer:
    figures = " ".join(f"{name}:{int(found.stats.get(name, 0))}" for name in GO_FIGURES)
    return Answer((f"MemStats {figures}",), found)


def show(usage: UsageReport) -> Answer:
    memory = quantity(usage.rss) if usage.pss is None else f"{quantity(usage.rss)}, PSS {quantity(usage.pss)}"
    rows = [
        ("CPU", f"{usage.cpu_percent:.1f} % now, {usage.cpu_s:.2f} s in all"),
        ("Memory", memory),
        ("Threads", f"{usage.threads} in {usage.processes} process{'es' * (usage.processes != 1)}"),
    ]
    if usage.open_files is not None:
        rows.append(("Files", f"{usage.open_files} open"))
    if usage.read_bytes is not None and usage.written_bytes is not None:
        rows.append(("Bytes", f"{quantity(usage.read_bytes)} read, {quantity(usage.written_bytes)} written"))
    rows.append(("Running", f"{duration(usage.uptime_s)}, pid {usage.pid}"))
    if usage.own is not None:
        rows += _show_own(usage.own)
    return Answer(pairs(rows), usage)


def _show_own(own: SelfReport) -> list[tuple[str, str]]:
    named = [("Status", own.status), *((name, str(value)) for name, value in own.fields.items())]
    return [(line(name), line(value)) for name, value in named if value]


COMMAND = Command(
    ("res_usage", "ru"),
    "res_usage|ru [-g] <id>",
    "Show an app's CPU and memory; -g as Go does",
    "res_usage 2",
    ask,
    words=(Word.APP_ID,),
    flags=("-g",),
)
