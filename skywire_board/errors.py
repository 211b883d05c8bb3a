"""Errors of the supervisor. One root, so that `__main__` translates once."""


class BoardError(Exception):
    """Anything the supervisor refuses or cannot do; the text says what, the value, and the next step."""


class BoardFileError(BoardError):
    """A board file or an override file does not say what it must."""


class BootStateError(BoardError):
    """The boot state on the card cannot be read, or must not be overwritten."""


class PinError(BoardError):
    """The GPIO chip or a line of it cannot be had."""
