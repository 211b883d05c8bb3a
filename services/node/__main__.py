"""`node run` is a node, `node down` removes it from the kernel, `node identity …` makes, shows, backs up and restores
its identity. What each command needs is imported in it.

A secret is printed by `export` alone, and read by `import` alone, from standard input: never from the command line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.app.commands import JSON, Commands, log_to_stderr
from services.errors import IdentityError, SettingsError, WordsError
from services.node import commands

if TYPE_CHECKING:
    from services.keys import Identity

SEED = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    envvar="NODE_SEED_FILE",
    help="The seed's file (also NODE_SEED_FILE; default: the board's, else your own).",
)


CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), envvar="NODE_CONFIG", help="node.yaml (also NODE_CONFIG)."
)
DEFAULTS = click.option(
    "--defaults",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file like it, under it; of several, each lies over those before, and may be missing but for the first.",
)


class NodeCommands(Commands):
    program = "node"

    def expected(self) -> tuple[type[Exception], ...]:
        from services.kernel.errors import KernelError
        from services.node.errors import NodeError
        from viscript.signal.errors import SignalError

        return (IdentityError, SettingsError, NodeError, KernelError, SignalError)


@click.group(cls=NodeCommands)
def main() -> None:
    """A node of the mesh."""


commands.add(main)


@main.command()
@CONFIG
@DEFAULTS
def run(config: Path | None, defaults: tuple[Path, ...]) -> None:
    """Be a node: keep links, routes and sessions in the kernel, and serve the node's socket.

    Without a configuration it is a node without a network. It needs root, or CAP_NET_ADMIN.

    \b
    node run
    node run --config node.yaml
    """
    import asyncio

    from services.secrecy import hide_process

    hide_process()
    log_to_stderr()
    from services.node.config import load_config
    from services.node.run import run

    asyncio.run(run(load_config(config, defaults)))


@main.command()
@CONFIG
@DEFAULTS
def down(config: Path | None, defaults: tuple[Path, ...]) -> None:
    """Take everything of a node that was stopped out of the kernel: its links, routes and sessions end.

    \b
    node down
    """
    import asyncio

    from services.node.config import load_config
    from services.node.run import take_down

    report = asyncio.run(take_down(load_config(config, defaults)))
    for failure in report.failed:
        print(f"node: not removed: {failure.reason}", file=sys.stderr)
    if report.failed:
        sys.exit(1)
    print(f"{len(report.done)} things removed")


@main.group()
def identity() -> None:
    """This node's identity: one 32-byte seed, from which its keys and addresses follow.

    \b
    node identity new          make one
    node identity show         its id, addresses and public keys
    node identity export       its 24 words, to write down
    node identity import       bring it back from the words
    """
    from services.secrecy import hide_process

    hide_process()


@identity.command()
@SEED
@JSON
def new(path: Path | None, as_json: bool) -> None:
    """Make an identity where there is none yet; nothing is ever overwritten.

    \b
    node identity new
    node identity new --file /media/stick/seed --json
    """
    from services import keys, seed_file

    path = path or seed_file.usual_place()
    with keys.new_seed() as seed:
        seed_file.create(path, seed)
        _tell(keys.Identity(seed), path, as_json)
    if not as_json:
        print("write its words down: node identity export", file=sys.stderr)


@identity.command()
@SEED
@JSON
def show(path: Path | None, as_json: bool) -> None:
    """The public side: what others may know.

    \b
    node identity show
    node identity show --json
    """
    from services import keys, seed_file

    path = path or seed_file.usual_place()
    with seed_file.read(path) as seed:
        _tell(keys.Identity(seed), path, as_json)


@identity.command()
@SEED
@click.option("--force", is_flag=True, help="Also where it is no terminal, such as a pipe.")
def export(path: Path | None, force: bool) -> None:
    """Print the 24 words that are the identity: whoever reads them has it.

    \b
    node identity export
    node identity export --force | gpg --symmetric > words.gpg
    """
    from services import seed_file, words

    if not (force or sys.stdout.isatty()):
        raise click.UsageError("the words would go into a file or pipe: run it in a terminal, or say --force")
    with seed_file.read(path or seed_file.usual_place()) as seed:
        told = words.to_words(seed)
    if not sys.stdout.isatty():
        print(" ".join(told))
        return
    for first in range(0, len(told), 4):
        print("".join(f"{first + at + 1:>4}. {word:<9}" for at, word in enumerate(told[first : first + 4])).rstrip())


@identity.command("import")
@SEED
@JSON
@click.argument("words_here", nargs=-1, metavar="")
def import_(path: Path | None, as_json: bool, words_here: tuple[str, ...]) -> None:
    """Bring an identity back from its 24 words, read from the terminal or standard input.

    Upper case, line ends and the numbers of `export` do no harm. Nothing is overwritten.

    \b
    node identity import
    gpg --decrypt words.gpg | node identity import --file /data/identity/seed
    """
    from services import keys, seed_file, words

    if words_here:
        raise click.UsageError(
            "words do not go on the command line, where others can see them: run it without, and type them then "
            "(take this line out of your shell's history)"
        )
    path = path or seed_file.usual_place()
    with words.read_words(_typed()) as seed:
        seed_file.create(path, seed)
        _tell(keys.Identity(seed), path, as_json)


def _typed() -> str:
    """From a terminal until 24 words or an empty line, else all there is."""
    from services import words

    if not sys.stdin.isatty():
        try:
            return sys.stdin.read(words.MAX_LETTERS + 1)
        except UnicodeDecodeError:
            raise WordsError("standard input is not text: expected 24 words") from None
    print("The 24 words, in order (an empty line ends):", file=sys.stderr)
    text = ""
    while len(words.split(text)) < words.WORDS and (line := sys.stdin.readline(words.MAX_LETTERS)).strip():
        text += line
    return text


def _tell(identity: Identity, path: Path, as_json: bool) -> None:
    from services.addresses import link_address, session_address
    from services.keys import wireguard_text

    rows = {
        "node_id": identity.node_id,
        "session_address": str(session_address(identity.node_id)),
        "session_key": wireguard_text(identity.session_key),
        "link_address": str(link_address(identity.link_key)),
        "link_key": wireguard_text(identity.link_key),
        "seed_file": str(path.absolute()),
    }
    if as_json:
        import json

        print(json.dumps(rows))
        return
    for name, value in rows.items():
        print(f"{name.replace('_', ' '):<17}{value}")


if __name__ == "__main__":
    main(prog_name="node")
