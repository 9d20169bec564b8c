"""The one error of this program: what is wrong, and what would be right. And the one that begins again by itself."""

from pipelines.errors import ProjectError


class GitopsError(ProjectError):
    """Something its reader can put right: one line, exit code 1. What pipelines raises is of the same kind."""


class ExpiredError(Exception):
    """The credentials ended while a command was at work. No GitopsError: nothing on the way may take it for a finding.

    Every command may be run again, so `__main__` does that once with new credentials.
    """
