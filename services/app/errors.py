"""The errors of what programs share; one root, each with the sentence to show."""


class AppError(Exception):
    """Root of the errors here."""


class UnpublishedError(AppError):
    """The node did not take in time what was to be published; the text has its reason."""


class NoServerError(AppError):
    """No server fits what was chosen, or none can be reached."""
