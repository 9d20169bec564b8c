"""Random scripts of commits: each kind is one function that edits a clone, and one line in KINDS."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from demo.team import Team
from tests.gitops.oracle import POISON

PARAMS, LOCK = "params/ncf.yml", "params/ncf.data.yml"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@dataclass
class Author:
    """One person at a clone of the branch. Each kind of commit leaves the clone ready to be pushed."""

    team: Team
    dice: random.Random
    mine: list[str] = field(default_factory=list)  # what was pushed last, while nobody pushed after it
    forced: bool = False

    @property
    def root(self) -> Path:
        return self.team.clone

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        file = self.root / path
        text = file.read_text() if file.exists() else ""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(change(text))

    def commit(self, message: str) -> None:
        self.team.git("add", "--all")
        self.team.git("commit", "--quiet", "--allow-empty", "--message", message)

    def number(self) -> int:
        return self.dice.randrange(10**9)

    def append(self, *paths: str) -> None:
        """A comment in one of the files."""
        self.edit(self.dice.choice(paths), lambda text: f"{text}# {self.number()}\n")

    def environment(self) -> str:
        return self.dice.choice(("staging", "production"))


def params(author: Author) -> None:
    value = author.dice.choice((100.0, 150.0, 200.0))
    author.edit(PARAMS, lambda text: re.sub(r"ease_reg: [0-9.]+", f"ease_reg: {value}", text))


def gate(author: Author) -> None:
    users = author.dice.randrange(10, 40)
    author.edit(PARAMS, lambda text: re.sub(r"min_users: [0-9]+", f"min_users: {users}", text))


def nonce(author: Author) -> None:
    author.edit(PARAMS, lambda text: re.sub(r"nonce: [0-9]+", f"nonce: {author.number()}", text))


def same_params(author: Author) -> None:
    author.append(PARAMS, LOCK)


def other(author: Author) -> None:
    author.append("docs/notes.md", "tests/notes.txt", "project.yml", "README.md", "infra/stack.py", "gitops/git.py")


def buildspec(author: Author) -> None:
    author.append("buildspec.yml")


def code(author: Author) -> None:
    author.append("processing_code/prepare.py", "training_code/train.py")


def serving(author: Author) -> None:
    author.append("serving_code/__main__.py")


def instances(author: Author) -> None:
    change = {"instances: 1": "instances: 2", "instances: 2": "instances: 1"}
    author.edit(
        f"deploy/{author.environment()}/ncf.yml",
        lambda text: re.sub("instances: [12]", lambda found: change[found[0]], text),
    )


def no_difference(author: Author) -> None:
    """What a deploy file says of the next update, or in a comment."""
    path = f"deploy/{author.environment()}/ncf.yml"
    change = author.dice.choice(
        (
            lambda text: f"{text}# {author.number()}\n",
            lambda text: re.sub("bake_seconds: [0-9]+", f"bake_seconds: {author.dice.randrange(3)}", text),
            lambda text: re.sub("retry: [0-9]+", f"retry: {author.number()}", text),
        )
    )
    author.edit(path, change)


def pause(author: Author) -> None:
    """Paused if it was not, else not."""
    text = "paused: true\nreason: we look into it\n"
    author.edit(f"deploy/{author.environment()}/_policy.yml", lambda before: "{}\n" if before == text else text)


def poison(author: Author) -> None:
    path = author.dice.choice((PARAMS, LOCK, f"deploy/{author.environment()}/ncf.yml"))
    evil = author.dice.choice(("nonsense: true\n", "model: twice\n'model': twice\n", BOMB, "\t{", "\x00"))
    author.edit(path, lambda text: f"{text}{POISON}\n{evil}")


def gone(author: Author) -> None:
    """A file that is asked for is deleted, or has another name."""
    path = author.dice.choice((PARAMS, LOCK, f"deploy/{author.environment()}/ncf.yml"))
    if author.dice.random() < 0.5 or not path.startswith("deploy/"):
        author.team.git("rm", "--quiet", path)
    else:
        author.team.git("mv", path, path.replace("ncf", "other"))


def environment(author: Author) -> None:
    author.edit("deploy/qa/ncf.yml", lambda text: f"{text}# {author.number()}\nmodel: ncf\n")


def attributes(author: Author) -> None:
    """What git does to files on their way out is nothing of what is in the branch."""
    author.edit(".gitattributes", lambda _: "* text eol=crlf\nparams/** export-ignore\ndeploy/** export-subst\n")


def empty(author: Author) -> None:
    """Nothing at all."""


def revert(author: Author) -> None:
    """What was pushed last is taken back; a revert as well."""
    sha = author.mine.pop()
    merge = len(author.team.git("rev-list", "--parents", "--max-count=1", sha).split()) > 2
    author.team.git("revert", "--no-edit", *(["--mainline", "1"] if merge else []), sha)


def branch(author: Author) -> None:
    """Two commits of a branch, merged, squashed or fast-forwarded."""
    author.team.git("checkout", "--quiet", "-b", f"topic-{author.number()}")
    for _ in range(2):
        SMALL[author.dice.choice(sorted(SMALL))](author)
        author.commit("Part")
    topic = author.team.git("rev-parse", "HEAD")
    author.team.git("checkout", "--quiet", "main")
    how = author.dice.choice(("--no-ff", "--squash", "--ff-only"))
    author.team.git("merge", "--quiet", how, topic)


def rewrite(author: Author) -> None:
    """The branch goes back by one or two commits, whosever they are, and a note takes their place."""
    author.team.git("reset", "--quiet", "--hard", f"HEAD~{author.dice.randrange(1, 3)}")
    author.append("docs/notes.md")
    author.forced = True


SMALL = {"gate": gate, "other": other, "instances": instances, "no difference": no_difference, "params": params}
KINDS: dict[str, Callable[[Author], None]] = {
    **SMALL,
    "nonce": nonce,
    "same params": same_params,
    "buildspec": buildspec,
    "code": code,
    "serving": serving,
    "pause": pause,
    "poison": poison,
    "gone": gone,
    "environment": environment,
    "attributes": attributes,
    "empty": empty,
    "revert": revert,
    "branch": branch,
    "rewrite": rewrite,
}
BROKEN = {"poison", "gone"}  # put right by the next commit: what lies behind it is tried then
