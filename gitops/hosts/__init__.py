"""Git hosts: the interface, and the registry. A new host is one module here and one line in HOSTS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from gitops.errors import GitopsError


class ConflictError(GitopsError):
    """The branch moved on meanwhile: begin again from its new head."""


@dataclass(frozen=True)
class Request:
    """A merge request as this program sees it."""

    number: int
    title: str
    branch: str
    state: str  # opened | merged | closed
    url: str
    head: str  # the commit it would bring
    fork: bool = False  # of another project, where anybody may call a branch anything


@dataclass(frozen=True)
class Change:
    """One commit and its merge request."""

    branch: str
    title: str
    body: str
    files: Mapping[str, str]  # path -> whole new text
    draft: bool = False


class Host(Protocol):
    """What propose and reconcile need of a git host."""

    def head(self) -> str:
        """The sha of the protected branch; GitopsError if it is not protected."""

    def contains(self, sha: str, ref: str = "") -> bool:
        """True if the commit is on the protected branch, or leads to `ref`."""

    def blob(self, path: str, ref: str) -> str | None:
        """git's id of the file at that ref, or None if it is not there."""

    def read(self, path: str, ref: str) -> str | None:
        """The file's text at that ref, or None if it is not there."""

    def find(self, branch: str) -> list[Request]:
        """Merge requests from this project's branch into the protected one, in every state; a fork's are none."""

    def opened(self, prefix: str) -> list[Request]:
        """Open merge requests into the protected branch whose source branch begins with `prefix`; forks' for none."""

    def open(self, change: Change, base: str) -> Request:
        """One commit with the change's files on a fresh branch from `base`, and its merge request."""

    def merge(self, request: Request) -> str:
        """Merge exactly `request.head`; the merge's sha. ConflictError if that cannot be merged any more."""

    def close(self, request: Request, note: str) -> None:
        """Say why, close the request and remove its branch."""

    def comment(self, request: Request, marker: str, body: str) -> None:
        """Put `body` in the place of the own comment that begins with `marker`, or add it."""


@dataclass(frozen=True)
class Place:
    """Which project on which host, with whose rights."""

    url: str
    project: str
    branch: str
    token: str


HOSTS: dict[str, str] = {
    "github": "gitops.hosts.github",  # github.com and GitHub Enterprise Server
    "gitlab": "gitops.hosts.gitlab",  # GitLab, and what speaks its API
}


def connect(provider: str, place: Place) -> Host:
    """The host that project.yml names; its module is imported only now."""
    if provider not in HOSTS:
        raise GitopsError(f"project.yml: git.provider is {provider!r}; it must be one of {', '.join(sorted(HOSTS))}")
    if not place.token:
        raise GitopsError("GIT_TOKEN: is not set; infra/template.yml takes it from the secret GitTokenSecretArn names")
    opener: Callable[[Place], Host] = import_module(HOSTS[provider]).connect
    return opener(place)
