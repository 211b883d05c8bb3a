"""A text as a QR code of characters, dark on light whatever the terminal's colours are. The only door to segno."""

from __future__ import annotations

import segno

QUIET = 2
_LIGHT, _PLAIN = "\x1b[30;107m", "\x1b[0m"
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def lines(text: str) -> list[str]:
    """Two rows of dots to a line."""
    dots = [[int(dot) for dot in row] for row in segno.make_qr(text, error="l").matrix_iter(border=QUIET)]
    if len(dots) % 2:
        dots.append([0] * len(dots[0]))
    pairs = zip(dots[::2], dots[1::2], strict=True)
    return [
        _LIGHT + "".join(_HALVES[above, below] for above, below in zip(*pair, strict=True)) + _PLAIN for pair in pairs
    ]
