"""`help`: the commands, or what one command or app expects."""

# ruff: noqa: PLC0415 (the table lists this very file)
from viscript.api.model import Apps, ListConfigured
from viscript.errors import NoSuchAppError, UsageError
from viscript.shell.model import Answer, Command, Talk, Word
from viscript.shell.render import pairs, plain


def talk(talk: Talk, words: list[str]) -> Answer:
    if not words:
        return _show_all()
    if len(words) > 1:
        raise UsageError("help takes one name, such as 'help start'")
    from viscript.shell.commands import BY_NAME

    if words[0] in BY_NAME:
        return _show_command(BY_NAME[words[0]])
    for app in talk.daemon.call(ListConfigured(), Apps).apps:
        if app.name == words[0]:
            text = [plain(line) for line in app.help.rstrip().splitlines()] or ["(no help is configured)"]
            defaults = " ".join(app.default_args) or "none"
            return Answer((*text, f"Default arguments: {plain(defaults)}"), app)
    raise NoSuchAppError(words[0])


def _show_command(command: Command) -> Answer:
    more = tuple(f"  {line}" for line in command.more)
    lines = (command.usage, f"  {command.summary}", *more, f"  Example: {command.example}")
    told = {"usage": command.usage, "summary": command.summary, "example": command.example}
    return Answer(lines, told | ({"more": list(command.more)} if command.more else {}))


def _show_all() -> Answer:
    from viscript.shell.commands import TABLE

    rows = [(command.usage, command.summary) for command in TABLE]
    return Answer(pairs(rows), {"commands": [{"usage": u, "summary": s} for u, s in rows]})


COMMAND = Command(
    ("help", "h", "?"),
    "help|h|? [app|command]",
    "Explain the commands, or one of them, or an app",
    "help start",
    talk=talk,
    words=(Word.TOPIC,),
)
