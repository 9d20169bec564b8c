"""A progress bar for people at a terminal; a log gets lines only."""

import sys
from typing import TextIO

WIDTH = 30


def show(label: str, share: float, stream: TextIO | None = None) -> None:
    """Draw the bar over the last one; at the end (share 1) take it away."""
    stream = stream or sys.stderr
    if not stream.isatty():
        return
    done = round(share * WIDTH)
    text = f"{label} [{'#' * done}{'.' * (WIDTH - done)}] {share:4.0%}"
    stream.write(f"\r{text}" if share < 1 else f"\r{' ' * len(text)}\r")
    stream.flush()
