"""A git host over a real repository: gitops.hosts.Host with merge requests in memory and real merges."""

from dataclasses import dataclass, field, replace

from gitops import git
from gitops.hosts import Change, ConflictError, Request
from tests.gitops.repository import Repository


@dataclass
class RepositoryHost:
    """`interruptions` run just before a merge, as another person's push would."""

    repository: Repository
    every: list[Request] = field(default_factory=list)
    bodies: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    interruptions: list = field(default_factory=list)

    def head(self) -> str:
        return self.repository.git("rev-parse", "main")

    def contains(self, sha: str, ref: str = "") -> bool:
        try:
            self.repository.git("merge-base", "--is-ancestor", sha, ref or "main")
        except Exception:  # noqa: BLE001 - git says no, or knows no such commit
            return False
        return True

    def read(self, path: str, ref: str) -> str | None:
        data = git.show(ref, path, self.repository.root)
        return None if data is None else data.decode()

    def blob(self, path: str, ref: str) -> str | None:
        data = git.show(ref, path, self.repository.root)
        return None if data is None else git.blob_sha(data)

    def find(self, branch: str) -> list[Request]:
        return [request for request in self.every if request.branch == branch]

    def opened(self, prefix: str) -> list[Request]:
        return [request for request in self.every if request.state == "opened" and request.branch.startswith(prefix)]

    def open(self, change: Change, base: str) -> Request:
        self.repository.git("checkout", "--quiet", "-B", change.branch, base)
        head = self.repository.commit(dict(change.files))
        self.repository.git("checkout", "--quiet", "main")
        number = len(self.every) + 1
        title = ("Draft: " if change.draft else "") + change.title
        request = Request(number, title, change.branch, "opened", f"https://git.example.com/{number}", head)
        self.every.append(request)
        self.bodies[number] = change.body
        return request

    def merge(self, request: Request) -> str:
        if self.interruptions:
            self.interruptions.pop(0)()
        if self.repository.git("rev-parse", request.branch) != request.head:
            raise ConflictError(f"{request.url}: its branch moved on")
        try:
            self.repository.git("merge", "--quiet", "--no-ff", "--message", request.title, request.branch)
        except Exception as error:
            self.repository.git("merge", "--abort")
            raise ConflictError(f"{request.url}: conflict") from error
        self._become(request, "merged")
        return self.head()

    def close(self, request: Request, note: str) -> None:
        self.notes[request.number] = note
        self._become(request, "closed")

    def _become(self, request: Request, state: str) -> None:
        self.every[request.number - 1] = replace(request, state=state)

    def changed_by(self, request: Request) -> list[str]:
        return self.repository.git("diff", "--name-only", f"main...{request.branch}").splitlines()
