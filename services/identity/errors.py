"""The errors of the identity's door."""

from services.errors import IdentityError


class DoorError(IdentityError):
    """The door cannot be asked, or will not; the text says why."""
