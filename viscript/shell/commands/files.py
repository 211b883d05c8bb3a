"""`files`: those that were offered; accept or refuse one, or save what has come."""

from pathlib import Path

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk, Word

USAGE = (
    "files takes nothing, or what to do with one: 'files accept 9c1f', 'files refuse 9c1f', 'files save 9c1f [path]'"
)


def talk(_talk: Talk, words: list[str]) -> Answer:
    match words:
        case [] | [("accept" | "refuse"), _]:
            return _ask(words)
        case ["save", file, *where] if len(where) <= 1:
            return _save(file, Path(*where))
    raise UsageError(USAGE)


def _ask(words: list[str]) -> Answer:
    from services.messenger import api_words as asks  # noqa: PLC0415 (only when asked)
    from services.messenger.told import files_lines  # noqa: PLC0415
    from viscript.shell import messenger  # noqa: PLC0415

    if words:
        kind = asks.AcceptFile if words[0] == "accept" else asks.RefuseFile
        files = messenger.ask(kind(words[1]), asks.Files)
    else:
        files = messenger.ask(asks.GetFiles(), asks.Files)
    contacts = messenger.ask(asks.GetContacts(), asks.Contacts).contacts if files.files else ()
    names: dict[str, str] = {one.node_id: one.name for one in contacts}
    return Answer(tuple(files_lines(files.files, names)), files)


def _save(file: str, target: Path) -> Answer:
    from services.messenger.saving import save  # noqa: PLC0415 (only when asked)
    from viscript.shell import messenger  # noqa: PLC0415

    with messenger.translated():
        place = save(file, target)
    return Answer((str(place),), {"path": str(place)})


COMMAND = Command(
    ("files",),
    "files [accept|refuse|save <id>]",
    "List files from others, take or save one",
    "files accept 9c1f03ab",
    talk=talk,
    words=(Word.FILE_ACT, Word.FILE, Word.PATH),
)
