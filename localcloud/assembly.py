"""Putting one localcloud together: the services, moto's, the git host and HTTP APIs behind one front."""

from collections.abc import Mapping
from pathlib import Path

from . import api_gateway
from .alarms import Watched
from .cloud import Cloud
from .fallthrough import applications
from .front import Application, Front
from .git_host import PREFIX, GitHost
from .object_events import ObjectEvents
from .services import MOTO_SERVICES, SERVICES


def assemble(cloud: Cloud, git_root: Path, tokens: Mapping[str, str]) -> Application:
    """The application that answers every request of one localcloud."""
    paths: dict[str, Application] = {
        f"{PREFIX}/": GitHost(cloud, git_root, tokens),
        f"{api_gateway.PREFIX}/": api_gateway.Door(cloud),
    }
    moto = applications(MOTO_SERVICES)
    moto["s3"] = ObjectEvents(cloud, moto["s3"])
    moto["cloudwatch"] = Watched(cloud, moto["cloudwatch"])
    return Front(cloud, SERVICES, moto, paths)
