"""Every command of the shell, in the order `help` shows them. A new command is a new file and one line
here.
"""

from viscript.errors import UsageError
from viscript.shell.commands import (
    apps,
    attach,
    board,
    channels,
    chat,
    clear,
    contacts,
    deploy,
    exit_shell,
    files,
    help_text,
    identity,
    inbox,
    list_apps,
    log_level,
    logs,
    msg,
    nodes,
    on,
    pair,
    peer,
    peers,
    ping,
    reload,
    res_usage,
    reset,
    restart,
    send_file,
    shutdown,
    start,
    status,
    support,
    tell,
    top,
    unpeer,
    update,
    version,
)
from viscript.shell.model import Command

TABLE: tuple[Command, ...] = (
    apps.COMMAND,
    help_text.COMMAND,
    start.COMMAND,
    attach.COMMAND,
    list_apps.COMMAND,
    ping.COMMAND,
    res_usage.COMMAND,
    shutdown.COMMAND,
    restart.COMMAND,
    logs.COMMAND,
    top.COMMAND,
    log_level.COMMAND,
    tell.COMMAND,
    reload.COMMAND,
    status.COMMAND,
    nodes.COMMAND,
    on.COMMAND,
    channels.COMMAND,
    deploy.COMMAND,
    contacts.COMMAND,
    msg.COMMAND,
    chat.COMMAND,
    inbox.COMMAND,
    send_file.COMMAND,
    files.COMMAND,
    peer.COMMAND,
    peers.COMMAND,
    unpeer.COMMAND,
    board.COMMAND,
    pair.COMMAND,
    identity.COMMAND,
    support.COMMAND,
    reset.COMMAND,
    update.COMMAND,
    version.COMMAND,
    clear.COMMAND,
    exit_shell.COMMAND,
)

BY_NAME: dict[str, Command] = {name: command for command in TABLE for name in command.names}


def find_command(word: str) -> Command:
    """Raises UsageError, which names the nearest command there is."""
    try:
        return BY_NAME[word]
    except KeyError:
        raise UsageError(_explain_unknown(word)) from None


def _explain_unknown(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 (only for the rare mistake)

    near = get_close_matches(word, BY_NAME, n=1, cutoff=0.7)
    text = f'"{word[:80]}" is an unknown command.'
    return f"{text}\nDid you mean '{near[0]}'?" if near else text
