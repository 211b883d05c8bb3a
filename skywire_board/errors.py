"""Errors of the supervisor. One root, so that `__main__` translates once."""


class BoardError(Exception):
    """Anything the supervisor refuses or cannot do; the text says what, the value, and the next step."""


class BoardFileError(BoardError):
    """A board file or an override file does not say what it must."""


class BootStateError(BoardError):
    """The boot state on the card cannot be read, or must not be overwritten."""


class UpdateError(BoardError):
    """An update cannot be installed, tried or taken back; what runs is as it was."""


class PinError(BoardError):
    """The GPIO chip or a line of it cannot be had."""


class SetupError(BoardError):
    """The owner's settings on the boot partition cannot be understood or carried out; nothing of them was."""


class ClaimError(BoardError):
    """A key cannot be pinned; the board is as it was."""


class ResetError(BoardError):
    """The board cannot be reset to its first state; it is as it was."""


class SupportError(BoardError):
    """The archive for support cannot be made."""


class LogError(BoardError):
    """The log cannot be copied to the card; the copies before it are as they were."""


class SilentError(BoardError):
    """A program that is asked how it is does not say it. `how`: absent, nobody listens, or hung."""

    def __init__(self, how: str, text: str) -> None:
        super().__init__(text)
        self.how = how
