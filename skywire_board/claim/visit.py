"""The forced command of a key that is not known yet: it runs when sshd has verified the key's signature.

Which key that was, sshd itself says (ExposeAuthInfo), in a file that only this login may read.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from skywire_board.claim.words import MAX_LINE, Answer, Pin, Pinned, Refused, read_used_key
from skywire_board.errors import ClaimError

ANSWER_WITHIN_S = 90.0


def ask_to_be_pinned(environment: Mapping[str, str], place: Path) -> str:
    """The fingerprint of the key, which is the owner's now. Raises ClaimError."""
    proof = environment.get("SSH_USER_AUTH", "")
    if not proof:
        raise ClaimError("sshd does not say which key was used (sshd_config: ExposeAuthInfo yes)")
    try:
        key = read_used_key(Path(proof).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(f"cannot read '{proof}': {error}") from error
    answer = _ask(Pin(key), place)
    if isinstance(answer, Refused):
        raise ClaimError(answer.text)
    return answer.fingerprint


def shell_words(shell: str, line: str | None) -> list[str]:
    """What to run now that the key is the owner's: what was asked for, or a login shell."""
    return [shell, "-c", line] if line is not None else [f"-{os.path.basename(shell)}"]  # noqa: PTH119  # a word


def _ask(word: Pin, place: Path) -> Answer:
    line = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as window:
            window.settimeout(ANSWER_WITHIN_S)
            window.connect(str(place))
            window.sendall(msgspec.json.encode(word) + b"\n")
            while not line.endswith(b"\n") and len(line) <= MAX_LINE and (data := window.recv(MAX_LINE)):
                line += data
        answer: Pinned | Refused = msgspec.json.decode(line, type=Answer)
    except (FileNotFoundError, ConnectionError):
        raise ClaimError("the two minutes are over, or another key was first: press the button and try again") from None
    except (OSError, msgspec.DecodeError) as error:
        raise ClaimError(f"cannot ask at '{place}': {error}") from error
    return answer
