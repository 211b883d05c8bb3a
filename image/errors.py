"""What can go wrong while building or booting, each with the way out. Raised near, printed once in `__main__`."""


class ImageError(Exception):
    """Root of all errors of this package: one line of what was wrong, with the value in quotes and the next step."""


class RecipeError(ImageError):
    """A recipe, board or module file says something that cannot be done."""


class CommandError(ImageError):
    """A program ended with a non-zero code. Its last lines are in the message, all of them in the build log."""

    def __init__(self, argv: list[str], code: int, tail: str) -> None:
        super().__init__(f"'{' '.join(argv)}' ended with {code}:\n{tail}".rstrip())


class StepError(ImageError):
    """A build step could not be done: names the step, keeps the cause, says where the log is."""


class EmulatorError(ImageError):
    """QEMU could not be started, ended early, or did not show what was waited for."""


class NobodyError(EmulatorError):
    """Nobody listens at an emulator's socket, or not yet."""


class FlashError(ImageError):
    """A card cannot be written, read back or personalised."""
