"""The one error class: something the user can put right, in one line."""

from collections.abc import Iterable
from difflib import get_close_matches


class ProjectError(Exception):
    """`file: what is wrong; what would be right`. Printed without a traceback, exit code `exit_code`."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known word closest to the wrong one, or None when nothing comes near."""
    matches = get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
