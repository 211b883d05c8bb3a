"""`nodes`: the boards of the cluster."""

from viscript.api.model import ListNodes, Node, Nodes
from viscript.shell.model import Answer, Command, Question
from viscript.shell.parse import expect_nothing
from viscript.shell.render import duration, latency


def ask(words: list[str]) -> Question[Nodes]:
    expect_nothing("nodes", words)
    return Question(ListNodes(), Nodes, show)


def show(found: Nodes) -> Answer:
    from viscript.shell.tables import Grid, lines_of  # noqa: PLC0415 (it loads rich)

    titles = ("NODE", "ADDRESS", " RTT", " RUNNING", " UP", "STATE")
    return Answer(lines_of(Grid(titles, [_row(node) for node in found.nodes])), found)


def _row(node: Node) -> tuple[str, ...]:
    rtt = "-" if node.rtt_s is None else latency(node.rtt_s)
    if node.status is None:
        return (node.name, node.address, rtt, "-", "-", node.error or "did not answer")
    up = duration(node.status.uptime_s)
    return (node.name, node.address, rtt, str(node.status.running), up, node.status.trouble or "well")


COMMAND = Command(("nodes",), "nodes", "List the boards of the cluster", "nodes", ask)
