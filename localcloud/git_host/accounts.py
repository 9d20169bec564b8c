"""Who may do what: a bot that proposes and a person who approves, each known by a token."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from werkzeug.wrappers import Request

from ..service import CloudError

DEVELOPER, MAINTAINER = 30, 40  # GitLab's own numbers for these roles


@dataclass(frozen=True)
class User:
    """An account of the git host. Only a maintainer pushes to the protected branch; both may merge."""

    id: int
    username: str
    name: str
    access_level: int

    @property
    def email(self) -> str:
        """What its commits carry."""
        return f"{self.username}@localcloud.invalid"

    def shown(self) -> dict[str, object]:
        """As GitLab shows a user inside other things."""
        return {"id": self.id, "username": self.username, "name": self.name, "state": "active"}


BOT = User(1, "bot", "Release bot", DEVELOPER)
REVIEWER = User(2, "reviewer", "Reviewer", MAINTAINER)


class Accounts:
    """The two accounts and their tokens, `{"bot": ..., "reviewer": ...}`."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = [(tokens["bot"], BOT), (tokens["reviewer"], REVIEWER)]

    def of(self, request: Request) -> User:
        """The account whose token the request carries; CloudError 401 if there is none."""
        given = _token(request)
        for token, user in self._tokens:
            if hmac.compare_digest(token.encode(), given.encode()):
                return user
        raise CloudError("Unauthorized", "401 Unauthorized", 401)


def _token(request: Request) -> str:
    """From PRIVATE-TOKEN, `Authorization: Bearer`, or the password of basic authentication (git's way)."""
    private = str(request.headers.get("PRIVATE-TOKEN", ""))
    if private:
        return private
    kind, _, value = str(request.headers.get("Authorization", "")).partition(" ")
    if kind.lower() == "bearer":
        return value
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""
