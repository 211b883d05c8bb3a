"""The manager's errors, but those of the route computer; one root, each with the sentence to show."""


class ManagerError(Exception):
    """Root of the errors here."""


class EngineError(ManagerError):
    """nats-server cannot be found, started or reached; the text says what mends it."""


class BusError(ManagerError):
    """The bus did not take or answer something; asking again may help."""


class ForbiddenError(BusError):
    """These credentials may not do that; asking again does not help."""


class ConflictError(BusError):
    """Somebody else changed that key first."""


class WordsError(ManagerError):
    """What came from outside is not one of the manager's words, or not signed by who must sign it."""


class OlderError(WordsError):
    """Something newer is known: what came is a replay, or late."""


class JoinError(ManagerError):
    """The join protocol was broken, or a manager refused; the text is what the other side may know."""
