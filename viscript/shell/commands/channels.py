"""`channels`: links and routes between the boards, how quick and how busy."""

from viscript.api.model import Channel, Channels, ListChannels
from viscript.shell.model import Answer, Command, Question
from viscript.shell.parse import expect_nothing
from viscript.shell.render import latency, quantity


def ask(words: list[str]) -> Question[Channels]:
    expect_nothing("channels", words)
    return Question(ListChannels(), Channels, show)


def show(found: Channels) -> Answer:
    from viscript.shell.tables import Grid, lines_of  # noqa: PLC0415 (it loads rich)

    if not found.channels:
        return Answer(("No channels are open.",), found)
    titles = ("KIND", "NODE", "ADDRESS", " RTT", " SENT", " RECEIVED")
    return Answer(lines_of(Grid(titles, [_row(channel) for channel in found.channels])), found)


def _row(channel: Channel) -> tuple[str, ...]:
    rtt = "-" if channel.rtt_s is None else latency(channel.rtt_s)
    sent = f"{quantity(channel.sent_bytes)}, {quantity(round(channel.sent_bps))}/s"
    received = f"{quantity(channel.received_bytes)}, {quantity(round(channel.received_bps))}/s"
    return (channel.kind, channel.node, channel.address, rtt, sent, received)


COMMAND = Command(("channels",), "channels", "List the channels to other boards", "channels", ask)
