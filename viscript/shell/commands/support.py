"""`support`: an archive of logs and state for whoever helps, without any secret.

On a terminal it is kept on the board, to be fetched; into a pipe it comes itself:
`ssh viscript@board support >a.tar.gz`.
"""

import sys

from viscript.errors import RefusedError
from viscript.shell.model import Act, Answer, Command, Talk
from viscript.shell.parse import expect_nothing
from viscript.shell.render import quantity


def talk(talk: Talk, words: list[str]) -> Answer:
    expect_nothing("support", words)
    from skywire_board.errors import SupportError  # noqa: PLC0415 (only when asked)
    from skywire_board.support.client import ask  # noqa: PLC0415
    from skywire_board.support.words import Make  # noqa: PLC0415

    keep = talk.as_json or sys.stdout.isatty()
    try:
        with ask(Make(keep)) as (made, chunks):
            if keep:
                return Answer(
                    (
                        f"Collected {quantity(made.bytes)}, without keys, passwords and words. Fetch it with:",
                        f"  scp admin@BOARD:{made.path} .",
                    ),
                    made,
                )
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    except SupportError as error:
        raise RefusedError(str(error)) from None
    return Answer(act=Act.TOLD)


COMMAND = Command(("support",), "support", "An archive for support, without secrets", "support > a.tar.gz", talk=talk)
