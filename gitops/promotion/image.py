"""A new serving image becomes a proposal: python -m gitops image [--environment production --image <by digest>]

One merge request changes `release.image` of every deploy file of the environment that has a release, and nothing
else: no model is trained or registered. Merging it deploys the image through that environment's own reconcile.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops import deployment, git
from gitops.errors import GitopsError
from gitops.hosts import Change, Host, Request
from gitops.promotion.registry import CODE
from pipelines import sources

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageProposer:
    """Proposes one image to one environment."""

    host: Host
    root: Path
    environment: str
    image: str  # <repository>@sha256:<digest>
    say: Say = print

    def propose(self) -> None:
        """Open the request, unless there is nothing to do, it waits already, or somebody turned it down."""
        head = self.host.head()
        files = self._changed(head)
        if not files:
            self.say(f"{self.environment}: no deploy file runs another image; nothing to propose")
            return
        waiting = self._waiting(files)
        if waiting:
            self.say(f"{self.environment}: {waiting}")
            return
        request = self.host.open(self._change(files), head)
        self.say(f"{self.environment}: {request.title} ({request.url})")
        for other in self.host.opened(self._prefix):
            if other.branch != self._branch:
                self.host.close(other, f"A newer image is proposed: {request.title}, {request.url}")
                self.say(f"{self.environment}: closed the older {other.title} ({other.url})")

    def _changed(self, head: str) -> dict[str, str]:
        """The deploy files with a release in another image, with this one in it."""
        files = {}
        for file in sorted((self.root / "deploy" / self.environment).glob("*.yml")):
            path = file.relative_to(self.root).as_posix()
            text = self.host.read(path, head)
            release = deployment.load(Path(path), text).release if text is not None else None
            if text is not None and release and release.image != self.image:
                changed = release.model_copy(update={"image": self.image})
                files[path] = deployment.with_release(text, changed, Path(path))
        return files

    def _waiting(self, files: Mapping[str, str]) -> str:
        """Why a person has, or had, what they need to decide; empty if not. An outdated request is closed."""
        states: dict[str, Request] = {request.state: request for request in self.host.find(self._branch)}
        waits = states.get("opened")
        if waits:
            if all(self.host.read(path, waits.branch) == text for path, text in files.items()):
                return f"is proposed already ({waits.url})"
            self.host.close(waits, "A deploy file has changed meanwhile; begun again from the branch's head.")
        elif "closed" in states and "merged" not in states:
            return f"was proposed before and turned down ({states['closed'].url})"
        return ""

    @property
    def _prefix(self) -> str:
        return f"image/{self.environment}-"

    @property
    def _branch(self) -> str:
        return self._prefix + self._digest

    @property
    def _digest(self) -> str:
        return self.image.rpartition(":")[2][:12]

    def _change(self, files: Mapping[str, str]) -> Change:
        title = f"Serve {self.environment} with image {self._digest}"
        return Change(branch=self._branch, title=title, body=self._body(files), files=files)

    def _body(self, files: Mapping[str, str]) -> str:
        """What a reviewer reads."""
        lines = [
            f"The image of `{CODE}/` changed; the models stay. Merging deploys it to {self.environment}.",
            "",
            f"`{self.image}`",
            "",
            *(f"- `{path}`" for path in files),
            "",
            "New releases still come with the image the stack names. When this one has proved itself, make it theirs: "
            f"`python -m infra deploy --parameter ServingImage={self.image}`.",
        ]
        return "\n".join(lines) + "\n"


def newest(host: Host, root: Path, commit: str) -> bool:
    """Whether the code here is the protected branch's: an older build must not propose over a newer one.

    GitopsError if the commit is not on that branch: what was not merged is not served.
    """
    if not host.contains(commit):
        raise GitopsError(f"{commit}: is not on the protected branch; only what was merged is served")
    head = host.head()
    files = [(f"{CODE}/{name}", path) for name, path in sources.files(root / CODE)]
    return all(host.blob(name, head) == git.blob_sha(path.read_bytes()) for name, path in files)
