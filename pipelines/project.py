"""project.yml: whose project this is."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipelines import documents
from pipelines.models import Section, parse, text

FILE = "project.yml"


PATH = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
Address = Annotated[
    str, text(r"^https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._-]+)*$", "https://host/path, no slash at its end")
]
Branch = Annotated[str, text(rf"^{PATH}(?:/{PATH})*$", "a branch name such as main")]
Environment = Annotated[str, text(r"^[a-z][a-z0-9]{0,19}$", "a lower-case word such as staging")]
GitProject = Annotated[str, text(rf"^{PATH}(?:/{PATH})+$", "group/project")]
Name = Annotated[
    str,
    text(r"^[a-z](?:-?[a-z0-9]){1,31}$", "2 to 32 lower-case letters, digits and single dashes, a letter first"),
    Field(max_length=32),
]
Owner = Annotated[str, text(r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}$", "a team's name")]
Region = Annotated[str, text(r"^[a-z]{2}(?:-[a-z]+)+-[0-9]$", "an AWS region such as eu-west-1")]


class Git(Section):
    """Where merge requests are opened."""

    provider: Literal["github", "gitlab"]
    url: Address
    project: GitProject
    branch: Branch


class Project(Section):
    """The only names that differ between teams. `project` prefixes every AWS resource."""

    project: Name
    owner: Owner
    region: Region
    git: Git
    environments: Annotated[tuple[Environment, ...], Field(strict=False)]

    @field_validator("environments")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) != len(names):
            raise ValueError("each environment once; write [staging, production]")
        return names


def load(root: Path) -> Project:
    """The project whose root folder this is. Raises ProjectError when project.yml is missing or wrong."""
    path = root / FILE
    return parse(Project, path, documents.load(path))


def find_root(path: Path) -> Path:
    """The nearest folder at or above the path's that holds project.yml; the working directory if none does."""
    for folder in path.absolute().parents:
        if (folder / FILE).is_file():
            return folder
    return Path.cwd()
