"""Every command of the shell, in the order `help` shows them. A new command is a new file and one line
here.
"""

from viscript.shell.commands import (
    apps,
    clear,
    exit_shell,
    help_text,
    list_apps,
    ping,
    res_usage,
    shutdown,
    start,
    status,
    version,
)
from viscript.shell.model import Command

TABLE: tuple[Command, ...] = (
    apps.COMMAND,
    help_text.COMMAND,
    start.COMMAND,
    list_apps.COMMAND,
    ping.COMMAND,
    res_usage.COMMAND,
    shutdown.COMMAND,
    status.COMMAND,
    version.COMMAND,
    clear.COMMAND,
    exit_shell.COMMAND,
)

BY_NAME: dict[str, Command] = {name: command for command in TABLE for name in command.names}
