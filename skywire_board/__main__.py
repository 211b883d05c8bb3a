"""The command line: `run` the supervisor, `check-config`, list `boards` and `patterns`.

`run` is what the unit starts, so it reads its few options by hand and leaves click to the other commands: on
an emulated board each import delays the first blink.
"""

import sys
from pathlib import Path
from typing import Any, NoReturn

from skywire_board.errors import BoardError

RUN_OPTIONS = (
    *("boards", "config", "socket", "data-fault", "systemctl", "run", "state", "root", "board-socket", "watchdog"),
)


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    args = sys.argv[1:]
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    try:
        if args[:1] == ["run"] and not {"--help", "-h"} & set(args):
            _run(args[1:], debug=debug)
        else:
            from skywire_board.commands import cli  # not needed to run

            cli.main(args, prog_name="skywire-board")
    except BoardError as error:
        if debug:
            raise
        print(f"skywire-board: {error}", file=sys.stderr)
        sys.exit(1)


def _run(args: list[str], *, debug: bool) -> None:
    import logging

    from skywire_board.start import Options, run

    level = logging.DEBUG if debug else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    given: dict[str, Any] = {}
    words = [part for arg in args for part in arg.split("=", 1)]
    if len(words) % 2:
        _asked_wrongly(words[-1])
    for key, value in zip(words[::2], words[1::2], strict=True):
        if not key.startswith("--") or key[2:] not in RUN_OPTIONS:
            _asked_wrongly(key)
        given[key[2:].replace("-", "_")] = value if key == "--systemctl" else Path(value)
    run(Options(**given))


def _asked_wrongly(word: str) -> NoReturn:
    options = ", ".join(f"--{option} PATH" for option in RUN_OPTIONS)
    print(f"skywire-board: cannot make sense of '{word}' (run takes {options}, --debug)", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
