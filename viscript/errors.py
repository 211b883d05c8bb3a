"""The errors of viscript that reach a person; each carries the sentence to print. The signal library has
its own.
"""


class ViscriptError(Exception):
    """Root; `code` is the stable word that programs get in place of the sentence."""

    code = "failed"


class ConfigError(ViscriptError):
    """A configuration file cannot be used; the text names file, line, key and what was expected."""

    code = "bad-config"


class UsageError(ViscriptError):
    """A command was asked wrongly."""

    code = "usage"


class NoSuchAppError(ViscriptError):
    code = "no-such-app"

    def __init__(self, name: str) -> None:
        super().__init__(f"App with name '{name}' doesn't exist. Try running 'apps'.")


class NoSuchIdError(ViscriptError):
    code = "no-such-id"

    def __init__(self, app_id: int) -> None:
        super().__init__(f"No running app has the id {app_id}. Try running 'list_apps'.")


class StartError(ViscriptError):
    """An application could not be started."""

    code = "start-failed"


class UnsureStartError(StartError):
    """Nobody can tell whether the application was started: what may run must be ended before it is forgotten."""


class NoAnswerError(ViscriptError):
    """A program or daemon did not answer in time."""

    code = "no-answer"


class StateError(ViscriptError):
    """The record of running applications cannot be read or written."""

    code = "bad-state"


class DaemonAwayError(ViscriptError):
    """No viscript daemon answers at the socket."""

    code = "daemon-away"


class DaemonBusyError(ViscriptError):
    """Another viscript daemon already uses the state directory or the socket."""

    code = "already-running"


class ProtocolError(ViscriptError):
    """A peer of the API or of the starter sent what is not a valid line."""

    code = "bad-request"


class ClusterError(ViscriptError):
    """The boards of a cluster cannot be asked."""

    code = "cluster"


class NotForwardedError(ViscriptError):
    """Another board asked this one to ask further boards."""

    code = "not-forwarded"


class ServiceAwayError(ViscriptError):
    """A service that a command asks does not run on this board."""

    code = "service-away"


class RefusedError(ViscriptError):
    """A service said no, in these words."""

    code = "refused"
