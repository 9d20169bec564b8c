"""The one error of this program: what is wrong, and what would be right."""

from pipelines.errors import ProjectError


class GitopsError(ProjectError):
    """Something its reader can put right: one line, exit code 1. What pipelines raises is of the same kind."""
