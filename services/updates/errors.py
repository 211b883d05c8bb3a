"""The errors of updates; one root, each with the sentence to show. They are refusals that a manager or node tells."""

from services.manager.errors import ManagerError


class UpdatesError(ManagerError):
    """Root of the errors here."""


class BundleError(UpdatesError):
    """What was given is no bundle that boards can take by stream; the text says what is wrong with it."""


class RequestError(UpdatesError):
    """An HTTP request that is not answered with bytes; `code` is the status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class DoorError(UpdatesError):
    """The update door of this board is away, or says what it should not."""


class StateError(UpdatesError):
    """A roll-out cannot be started or steered so, as it stands."""
