"""One deploy file on its way to its endpoint: what was read before the first call is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops import specs
from gitops.clock import SYSTEM, Clock
from gitops.delivery.golden import Golden
from gitops.deployment import Deployment
from gitops.errors import GitopsError
from gitops.hosts import Host

Say = Callable[[str], None]


class RejectedError(GitopsError):
    """What git asks for was tried and is not good: somebody should take it back."""


@dataclass(frozen=True)
class Cloud:
    """The AWS clients a reconcile needs; `client` makes those that few need."""

    sagemaker: Any
    runtime: Any
    s3: Any
    client: Callable[[str], Any]


@dataclass(frozen=True)
class Site:
    """Where a reconcile works: one environment at one commit, in the tree at `root`."""

    host: Host
    place: specs.Place
    commit: str
    root: Path
    say: Say = print
    clock: Clock = SYSTEM


@dataclass(frozen=True)
class Order:
    """What one deploy file asks for. `requests` are the golden requests by release id."""

    path: str
    desired: Deployment
    spec: specs.Spec
    requests: Mapping[str, list[Golden]]
