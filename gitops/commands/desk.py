"""Whose project a command is for, where, and with whose rights."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitops.errors import GitopsError
from gitops.settings import Settings

if TYPE_CHECKING:
    from gitops.hosts import Host
    from gitops.oncall.rollback import Slot
    from pipelines.project import Project

MOST = 100_000.0  # of any hours, minutes or seconds that somebody types: eleven years, or a day
ATTEMPTS_FOR_A_PERSON = 3  # who waits at a terminal wants to know soon


def amount(text: str) -> float:
    """A length of time that is typed: above 0, at most 100,000. Never nan, which compares with nothing."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= MOST:
        raise argparse.ArgumentTypeError(f"{text}: write a number above 0 and at most {MOST:.0f}")
    return found


@dataclass(frozen=True)
class Desk:
    """One project; its clients and its git host are made when they are asked for."""

    root: Path
    team: "Project"
    settings: Settings
    attempts: int | None = None  # of each call to AWS; None: as often as a build may

    @property
    def region(self) -> str:
        """Where the project is, unless the environment says another."""
        return self.settings.region or self.team.region

    def client(self, service: str) -> Any:
        """A boto3 client in the project's region."""
        from gitops import aws

        return aws.client(service, self.region, **({"attempts": self.attempts} if self.attempts else {}))

    @property
    def bucket(self) -> str:
        """The bucket as infra names it: where nobody says, the account of the caller's identity decides."""
        if self.settings.bucket:
            return self.settings.bucket
        account = self.client("sts").get_caller_identity()["Account"]
        return f"{self.team.project}-{account}-{self.region}"

    def host(self) -> "Host":
        """The git host; GitopsError if it cannot be reached."""
        from gitops import hosts

        git, url = self.team.git, self.settings.git_url or self.team.git.url
        return hosts.connect(git.provider, hosts.Place(url, git.project, git.branch, self.settings.git_token))

    def environment(self, name: str) -> str:
        """The environment of that name; GitopsError if it is none of the project's."""
        if name not in self.team.environments:
            known = ", ".join(self.team.environments)
            raise GitopsError(f"{name}: is no environment of project.yml; it has {known}")
        return name

    def slot(self, arguments: argparse.Namespace) -> "Slot":
        """The deploy file that the arguments name; GitopsError if there is no such environment, or file in it."""
        from gitops.oncall.rollback import Slot

        slot = Slot(self.environment(arguments.environment), arguments.model, self.root)
        if not (self.root / slot.path).is_file():
            known = sorted(file.stem for file in (self.root / slot.path).parent.glob("[!_]*.yml"))
            raise GitopsError(f"{slot.path}: is not there; {slot.environment} has {', '.join(known) or 'no model'}")
        return slot

    def automatic(self, slot: "Slot") -> bool:
        """True if params' release policy lets a program merge into the environment."""
        from pipelines import params

        file = self.root / "params" / f"{slot.model}.yml"
        return file.exists() and dict(params.load(file).release).get(slot.environment) == "auto"


def desk(settings: Settings, root: Path | None = None, attempts: int | None = None) -> Desk:
    """The project in the current directory, or in `root`."""
    from pipelines import project

    return Desk(root or Path.cwd(), project.load(root or Path.cwd()), settings, attempts)
