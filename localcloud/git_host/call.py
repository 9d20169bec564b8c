"""One call of the REST API, as its handlers see it."""

from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request

from ..service import CloudError
from .accounts import MAINTAINER, User
from .project import Project


@dataclass(frozen=True)
class Call:
    """`names` are the placeholders of the path, decoded; `given` the JSON body, or the query string."""

    request: Request
    user: User
    project: Project
    names: dict[str, str]
    given: dict[str, Any] = field(default_factory=dict)

    def required(self, name: str) -> str:
        """A text that must be given; CloudError 400 as GitLab words it."""
        value = self.given.get(name)
        if value is None or value == "":
            raise CloudError("BadRequest", f"{name} is missing", 400)
        return str(value)

    def must_push_to(self, branch: str) -> None:
        """CloudError 403 if the branch is protected and the user is no maintainer."""
        if self.project.is_protected(branch) and self.user.access_level < MAINTAINER:
            raise CloudError("Forbidden", f"You are not allowed to push into {branch}", 403)


@dataclass(frozen=True)
class Answer:
    """A body other than a plain object or list with status 200."""

    body: Any
    status: int = 200


def is_true(value: Any) -> bool:
    """A flag of a JSON body, or of a query string."""
    return value is True or str(value).lower() in ("true", "1", "yes")
