"""Another text in the place of one of the board's own modules, until the next restart. The card's modules are compiled
and their sources not looked at, so it is compiled too and bound over what is there.
"""

from pathlib import PurePosixPath

from image.emulator.board import Board

COMPILE = (
    "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True, "
    "invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
)


def put_module(board: Board, module: str, make: str, stdin: str = "") -> None:
    """`make` is a command that writes the new text; programs that start from now on have it."""
    compiled = _compiled(module)
    name = PurePosixPath(module).stem
    board.ssh(
        f"{make} | sudo tee /run/{name}.py >/dev/null && ! cmp -s /run/{name}.py {module} &&"
        f" sudo /usr/lib/skywire/bin/python3 -c '{COMPILE}' /run/{name}.py /run/{name}.pyc &&"
        f" sudo chmod 644 /run/{name}.py /run/{name}.pyc && sudo mount --bind /run/{name}.py {module} &&"
        f" if [ -e {compiled} ]; then sudo mount --bind /run/{name}.pyc {compiled}; fi",
        user="admin",
        stdin=stdin,
    )


def take_module(board: Board, module: str) -> None:
    """The board's own again."""
    board.ssh(f"sudo umount {module}; sudo umount {_compiled(module)} 2>/dev/null || true", user="admin")


def _compiled(module: str) -> PurePosixPath:
    place = PurePosixPath(module)
    return place.parent / "__pycache__" / f"{place.stem}.cpython-313.pyc"
