"""What a long bench says while it runs, to standard error: standard output is for the figures."""

import sys
import time

_begun = time.monotonic()


def tell(text: str) -> None:
    print(f"  {time.monotonic() - _begun:6.0f} s  {text}", file=sys.stderr, flush=True)
