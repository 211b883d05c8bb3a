"""`on`: a command on another board, on several, or on all at once."""

# ruff: noqa: PLC0415 (the table lists this very file)
from viscript.errors import UsageError
from viscript.shell.boards import NodeCaller, ask_boards
from viscript.shell.model import Answer, Command, Talk, Word
from viscript.shell.parse import read_nodes


def talk(talk: Talk, words: list[str]) -> Answer:
    if len(words) < 2:
        raise UsageError("on takes a board and a command, such as 'on pi-3 list_apps' or 'on all status'")
    from viscript.shell.commands import find_command

    return run_on(talk, read_nodes(words[0].split(",")), find_command(words[1]), words[2:])


def run_on(talk: Talk, names: tuple[str, ...], command: Command, words: list[str]) -> Answer:
    """The command there: one question to all of the boards, or a conversation with one."""
    if command.ask is None and not command.elsewhere:
        raise UsageError(f"{command.names[0]} is not for other boards")
    if command.ask is not None and (len(names) != 1 or not command.talks(words, talk)):
        return ask_boards(talk, names, command.ask(words))
    if len(names) != 1:
        raise UsageError(f"{command.names[0]} works with one board at a time")
    return command.run(Talk(NodeCaller(talk.daemon, names[0]), talk.as_json, talk.live), words)


COMMAND = Command(
    ("on",),
    "on <node|all> <command>",
    "Run a command on other boards",
    "on all status",
    talk=talk,
    words=(Word.NODE, Word.COMMAND),
)
