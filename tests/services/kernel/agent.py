"""One host of a test: owns a `Machine` in the namespace it is started in, and answers calls pickled on its standard
input until that closes. Each answer is the result (or the exception) and the seconds it took.
"""

from __future__ import annotations

import pickle
import sys
import time

from services.kernel.machine import Machine


def answer(machine: Machine, verb: str, words: tuple[object, ...]) -> object:
    try:
        found = getattr(machine, verb)
        return found(*words) if callable(found) else found
    except Exception as error:
        return error


def main() -> None:
    machine = Machine.open()
    while True:
        try:
            verb, words = pickle.load(sys.stdin.buffer)  # noqa: S301  # from the test that started us
        except EOFError:
            break
        start = time.perf_counter()
        result = answer(machine, verb, words)
        pickle.dump((result, time.perf_counter() - start), sys.stdout.buffer)
        sys.stdout.buffer.flush()
    machine.close()


if __name__ == "__main__":
    main()
