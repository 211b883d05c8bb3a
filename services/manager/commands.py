"""The commands that ask the manager which runs here; `__main__` adds them. What each needs is imported in it."""

# ruff: noqa: PLC0415, T201 (a command line imports what the command needs, and speaks)
from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from services.app.commands import JSON
from services.manager.peering import commands as peering
from services.manager.telling import tell
from services.updates.commands import update

if TYPE_CHECKING:
    from services.manager.routes.policy import Policy

_LASTS = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_to(group: click.Group) -> None:
    for command in (status, nodes, links, routes, services, names, route, admit, expel, invite, pair, name, update):
        group.add_command(command)
    peering.add_to(group)


@click.command()
@JSON
def status(as_json: bool) -> None:
    """Whether it works, who leads, where nodes join.

    \b
    manager status
    manager status --json
    """
    from services.manager import api_words as words
    from services.manager import tables

    tell(words.GetStatus(), words.Status, as_json, tables.status)


@click.command()
@JSON
def nodes(as_json: bool) -> None:
    """The members of the network.

    \b
    manager nodes
    """
    from services.manager import api_words as words
    from services.manager import tables

    tell(words.GetNodes(), words.Nodes, as_json, tables.nodes)


@click.command()
@JSON
def links(as_json: bool) -> None:
    """What nodes measure of their links; one line for each side.

    \b
    manager links
    """
    from services.manager import api_words as words
    from services.manager import tables

    tell(words.GetLinks(), words.Links, as_json, tables.links)


@click.command()
@JSON
def routes(as_json: bool) -> None:
    """The routes that are laid.

    \b
    manager routes
    """
    from services.manager import api_words as words
    from services.manager import tables

    tell(words.GetRoutes(), words.Routes, as_json, tables.routes)


@click.command()
@JSON
def services(as_json: bool) -> None:
    """What nodes offer.

    \b
    manager services
    """
    from services.manager import api_words as words
    from services.manager import tables

    tell(words.GetServices(), words.Services, as_json, tables.services)


@click.command()
@JSON
def names(as_json: bool) -> None:
    """The names that the managers vouch for.

    \b
    manager names
    """
    from services.manager import api_words as words
    from services.manager import tables

    tell(words.GetNames(), words.Names, as_json, tables.names)


@click.group()
def route() -> None:
    """Find, build or close a route by hand."""


@route.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--policy",
    metavar="K=V,…",
    default="",
    help="metric=latency|price|bandwidth, hops_at_least=N, hops_at_most=N, via=ID+ID, exclude=ID+ID",
)
@JSON
def find(a: str, b: str, policy: str, as_json: bool) -> None:
    """Two routes from A to B as a session would get them; nothing is changed.

    \b
    manager route find 31ab 77c0
    manager route find 31ab 77c0 --policy metric=latency,hops_at_least=2
    """
    from services.manager import api_words as words
    from services.manager import tables

    tell(words.FindRoute(a, b, _policy(policy)), words.FoundRoutes, as_json, tables.found)


@route.command()
@click.argument("through", metavar="N0 N1 …", nargs=-1, required=True)
@JSON
def build(through: tuple[str, ...], as_json: bool) -> None:
    """Lay a route through these nodes.

    \b
    manager route build 31ab 9e01 77c0
    """
    from services.manager import api_words as words

    if len(through) < 2:
        raise click.UsageError("a route goes through two nodes or more")
    tell(words.BuildRoute(through), words.Built, as_json, lambda built: [f"route {built.route}, mtu {built.mtu}"])


@route.command()
@click.argument("route_id", metavar="ROUTE")
@JSON
def close(route_id: str, as_json: bool) -> None:
    """Take a route back at every hop.

    \b
    manager route close 09fa33
    """
    from services.manager import api_words as words

    tell(words.CloseRoute(route_id), words.Done, as_json, lambda _: [])


@click.command()
@click.argument("node_id", metavar="ID")
@JSON
def admit(node_id: str, as_json: bool) -> None:
    """Let that node join, also if it was expelled.

    \b
    manager admit 31ab…
    """
    from services.manager import api_words as words

    tell(words.Admit(node_id), words.Done, as_json, lambda _: [])


@click.command()
@click.argument("node_id", metavar="ID")
@click.option("--reason", default="", help="For the ledger.")
@JSON
def expel(node_id: str, reason: str, as_json: bool) -> None:
    """Put a node out of the network, everywhere.

    \b
    manager expel 31ab --reason "lost board"
    """
    from services.manager import api_words as words

    tell(words.Expel(node_id, reason), words.Done, as_json, lambda _: [])


@click.command()
@click.option("--lasts", default="1h", show_default=True, help="How long: 30m, 1h, 7d.")
@click.option("--uses", default=1, show_default=True, help="How many nodes may join with it.")
@JSON
def invite(lasts: str, uses: int, as_json: bool) -> None:
    """Make an invitation: a text to paste, on a terminal also as a QR code.

    \b
    manager invite --lasts 1h --uses 3
    """
    from services.manager import api_words as words

    def render(answer: words.Invited) -> list[str]:
        from services.manager import qr

        code = qr.lines(answer.text) if sys.stdout.isatty() else []
        note = f"for {answer.uses} nodes, {lasts} from now; it joins at {answer.at}"
        if not as_json:
            print(note, file=sys.stderr)
        return [*code, answer.text]

    tell(words.Invite(_seconds(lasts), uses), words.Invited, as_json, render)


@click.command()
@click.option("--lasts", default="2m", show_default=True, help="How long: 30s, 2m.")
@JSON
def pair(lasts: str, as_json: bool) -> None:
    """Let in whoever comes to this manager meanwhile, as its button does.

    \b
    manager pair
    """
    from services.manager import api_words as words

    tell(words.Pair(_seconds(lasts)), words.Done, as_json, lambda _: [])


@click.command()
@click.argument("words_given", metavar="[ID] NAME", nargs=-1)
@click.option("--remove", is_flag=True, help="Vouch for NAME no longer.")
@JSON
def name(words_given: tuple[str, ...], remove: bool, as_json: bool) -> None:
    """Vouch that NAME is that node: NAME.sky then leads to it everywhere.

    \b
    manager name 31ab kitchen
    manager name --remove kitchen
    """
    from services.manager import api_words as words

    if len(words_given) != (1 if remove else 2):
        raise click.UsageError("give ID and NAME, or --remove and NAME")
    tell(words.SetName(words_given[-1], "" if remove else words_given[0]), words.Done, as_json, lambda _: [])


def _seconds(text: str) -> int:
    found = _LASTS.fullmatch(text)
    if found is None:
        raise click.UsageError(f"'{text}' is no time: expected a number with s, m, h or d, such as 1h")
    return int(found[1]) * _UNITS[found[2]]


def _policy(text: str) -> Policy:
    import msgspec

    from services.manager.routes.policy import Policy

    said: dict[str, object] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or key in said:
            raise click.UsageError(f"'{part}' is not K=V, or given twice (such as hops_at_least=2)")
        said[key] = value.split("+") if key in {"via", "exclude"} else int(value) if value.isdecimal() else value
    try:
        return msgspec.convert(said, Policy)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"--policy: {error}") from None
