"""Outlives a lab whose process was killed, and clears up after it: waits for the end of its standard input, which only
the lab holds open. A killed warden's work is done by the next lab's sweep.
"""

from __future__ import annotations

import sys

from tests.laboratory.sweep import sweep_lab

if __name__ == "__main__":
    sys.stdin.read()
    sweep_lab(sys.argv[1])
