"""A small GitLab: merge requests over bare repositories, and git itself over loopback HTTP.

It answers what python-gitlab asks during a promotion (api.ROUTES is the whole list); merges are real merge commits
pushed to the bare repository, so that its hooks fire. Merge requests live in memory, everything else in git.
"""

from .application import PREFIX, GitHost

__all__ = ["PREFIX", "GitHost"]
