"""Errors as the words that cross the API: a stable code for programs, the sentence for people."""

from __future__ import annotations

import logging

from viscript.api.model import Failure
from viscript.errors import ViscriptError
from viscript.signal.errors import RefusedError, SignalError, UnsupportedError

log = logging.getLogger(__name__)


def failure_of(error: Exception, what: str) -> Failure:
    """What a caller is told; an error nobody foresaw goes to the log, with `what` was being done."""
    match error:
        case ViscriptError():
            return Failure(error.code, str(error))
        case UnsupportedError():
            return Failure("unsupported", str(error))
        case RefusedError():
            return Failure("app-refused", str(error))
        case SignalError():
            return Failure("no-answer", str(error))
        case TimeoutError():
            return Failure("no-answer", str(error) or f"{what} was not done in time")
        case _:
            log.error("api: %s failed", what, exc_info=error)
            return Failure("failed", "the daemon made an error, see its log")
