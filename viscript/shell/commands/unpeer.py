"""`unpeer`: end peering with another cluster; everything of theirs goes at once."""

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk, Word


def talk(_talk: Talk, words: list[str]) -> Answer:
    if len(words) != 1:
        raise UsageError("unpeer takes a manager's id, its beginning, or the name, such as 'unpeer 31ab' (see peers)")
    from services.manager.api_words import Done, Unpeer  # noqa: PLC0415 (only when asked)
    from viscript.shell import manager  # noqa: PLC0415

    return Answer(("ended",), manager.ask(Unpeer(words[0]), Done))


COMMAND = Command(
    ("unpeer",), "unpeer <id>", "End peering with another cluster", "unpeer 31ab", talk=talk, words=(Word.PEER,)
)
