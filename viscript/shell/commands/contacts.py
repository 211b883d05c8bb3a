"""`contacts`: who is known to the messenger; with two words, a name of one's own for a node."""

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk, Word


def talk(_talk: Talk, words: list[str]) -> Answer:
    if len(words) not in {0, 2}:
        raise UsageError("contacts takes nothing, or a node and the name for it, such as 'contacts 31ab… alice'")
    from services.messenger.api_words import Contacts, GetContacts, SetContact  # noqa: PLC0415 (only when asked)
    from services.messenger.told import contacts_lines  # noqa: PLC0415
    from viscript.shell import messenger  # noqa: PLC0415

    contacts = messenger.ask(SetContact(words[0], words[1]) if words else GetContacts(), Contacts)
    return Answer(tuple(contacts_lines(contacts)), contacts)


COMMAND = Command(
    ("contacts",),
    "contacts [<node> <name>]",
    "List whom messages can go to, or name one",
    "contacts 31ab… alice",
    talk=talk,
    words=(Word.CONTACT,),
)
