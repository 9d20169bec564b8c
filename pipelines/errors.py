"""The one error class: something the user can put right, in one line. And the one that begins again by itself."""

from collections.abc import Iterable
from difflib import get_close_matches

from pipelines.secrets import masked


class ProjectError(Exception):
    """`file: what is wrong; what would be right`. Printed without a traceback, exit code `exit_code`."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(masked(" ".join(message.split())))  # it may show a value that somebody put in a wrong place
        self.exit_code = exit_code


class ExpiredError(Exception):
    """The credentials ended while a command was at work. No ProjectError: nothing on the way may take it for a finding.

    Every command may be run again, so both `__main__` do that once with new credentials (expiry.py).
    """


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known word closest to the wrong one, or None when nothing comes near."""
    matches = get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
