"""Putting one localcloud together: the services, moto's and the git host behind one front."""

from collections.abc import Mapping
from pathlib import Path

from .cloud import Cloud
from .fallthrough import applications
from .front import Application, Front
from .git_host import PREFIX, GitHost
from .object_events import ObjectEvents
from .services import MOTO_SERVICES, SERVICES


def assemble(cloud: Cloud, git_root: Path, tokens: Mapping[str, str]) -> Application:
    """The application that answers every request of one localcloud."""
    paths = {f"{PREFIX}/": GitHost(cloud, git_root, tokens)}
    moto = applications(MOTO_SERVICES)
    moto["s3"] = ObjectEvents(cloud, moto["s3"])
    return Front(cloud, SERVICES, moto, paths)
