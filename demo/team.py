"""A team's git: a bare origin whose hook is the CI's notify job, and one person's clone."""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.errors import DemoError

# What .gitlab-ci.yml's notify job does on main; here git itself runs it, on each push and on each merge.
HOOK = """#!/bin/sh
unset GIT_QUARANTINE_PATH
while read -r before sha ref; do
    [ "$ref" = refs/heads/main ] || continue
    PYTHONPATH={root} {exports} {python} -m gitops notify --branch main --before "$before" --sha "$sha" || exit 1
done
"""


def run(command: list[str], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; its error output explains a DemoError."""
    done = subprocess.run(command, cwd=cwd, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise DemoError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done.stdout.strip()


@dataclass(frozen=True)
class Team:
    """A person's clone of the project and the commands they type in it."""

    clone: Path
    environment: Mapping[str, str]

    def git(self, *arguments: str) -> str:
        """`git ...` in the clone."""
        return run(["git", *arguments], self.clone, self.environment)

    def push(self, message: str, *paths: str) -> str:
        """Commit these paths and push; returns the commit."""
        self.git("add", "--", *paths)
        self.git("commit", "--quiet", "--message", message)
        return self.publish()

    def publish(self) -> str:
        """Push what is committed; returns the commit."""
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def pull(self) -> None:
        """Bring the clone up to date with main."""
        self.git("pull", "--quiet", "--ff-only", "origin", "main")


def identity(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with a committer, so that it works in an empty home directory."""
    person = {"NAME": "Demo", "EMAIL": "demo@example.com"}
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    return {**environment, **who, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}


def snapshot(source: Path, target: Path) -> None:
    """Copy the project as it stands (committed or not, but nothing git ignores) into a new directory."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], source)
    for name in filter(None, listed.split("\0")):
        if (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def found(source: Path, origin: Path, address: str, clone: Path, environment: Mapping[str, str]) -> Team:
    """Make the bare origin and the first clone; `address` is the origin's URL with the person's token."""
    shutil.rmtree(origin, ignore_errors=True)
    origin.mkdir(parents=True)
    run(["git", "init", "--quiet", "--bare", "--initial-branch=main", "."], origin)
    run(["git", "config", "http.receivepack", "true"], origin)
    snapshot(source, clone)
    team = Team(clone, identity(environment))
    team.git("init", "--quiet", "--initial-branch=main", ".")
    team.git("remote", "add", "origin", address)
    return team


def install_hook(origin: Path, root: Path, exports: Mapping[str, str]) -> None:
    """From now on every push to the origin is announced as the CI would, by the `gitops` of the project at `root`."""
    lines = " ".join(f"{name}={shlex.quote(value)}" for name, value in exports.items())
    hook = origin / "hooks" / "post-receive"
    hook.write_text(HOOK.format(root=shlex.quote(str(root)), exports=lines, python=shlex.quote(sys.executable)))
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)


def environment(exports: Mapping[str, str]) -> dict[str, str]:
    """This process's environment and where the cloud is."""
    return {**os.environ, **exports}
