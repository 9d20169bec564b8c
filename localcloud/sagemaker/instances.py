"""The instances of one training job: each has its folders and its process, and if one fails the others are ended.

One instance is `localhost`. Several are 127.0.0.1, 127.0.0.2 and so on, names that every resolver knows.
"""

import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import ports
from .container import Launch, Outcome
from .container import run as run_container
from .store import Row
from .toolkit import HOST, Layout, resource_config

if TYPE_CHECKING:
    from ..cloud import Cloud

MOST = 8


@dataclass(frozen=True)
class Instance:
    """One machine of a job: its number from 1 as in algo-1, its folders, and the job's hosts, the master first."""

    number: int
    layout: Layout
    hosts: tuple[str, ...]
    environment: dict[str, str]

    @property
    def host(self) -> str:
        """Its own name among the hosts."""
        return self.hosts[self.number - 1]

    def resources(self, instance_type: str) -> Row:
        """Its resourceconfig.json."""
        interface = "eth0" if len(self.hosts) == 1 else LOOPBACK
        return {**resource_config(instance_type, self.hosts, self.host), "network_interface_name": interface}


LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def instances(base: Path, count: int) -> list[Instance]:
    """The instances of a job below its folder. Several get a free port to meet at: jobs share this machine."""
    if count == 1:
        return [Instance(1, Layout(base), (HOST,), {})]
    hosts = tuple(f"127.0.0.{number}" for number in range(1, count + 1))
    port = {"MASTER_PORT": str(ports.free())}
    return [Instance(number, Layout(base / f"algo-{number}"), hosts, port) for number in range(1, count + 1)]


def gather(places: Sequence[Instance]) -> None:
    """Bring what the other instances left for the model to the first one, whose own files stay."""
    first = places[0].layout.model
    for place in places[1:]:
        for path in sorted(place.layout.model.rglob("*")):
            target = first / path.relative_to(place.layout.model)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


class _Stop(threading.Event):
    """Set if the job is to stop, or if one of its instances has failed."""

    def __init__(self, job: threading.Event) -> None:
        super().__init__()
        self._job = job

    def is_set(self) -> bool:
        return super().is_set() or self._job.is_set()


def run(cloud: "Cloud", launches: Sequence[Launch], observe: Callable[[list[str]], None]) -> Outcome:
    """Run all containers to their end; the outcome is that of the first one to fail, or the master's."""
    stop, failed, turn = _Stop(launches[0].stop), list[Outcome](), threading.Lock()

    def one_at_a_time(lines: list[str]) -> None:
        with turn:
            observe(lines)

    def one(launch: Launch) -> Outcome:
        try:
            outcome = run_container(cloud, replace(launch, stop=stop), one_at_a_time)
        except BaseException:
            stop.set()
            raise
        if outcome.code and not stop.is_set():
            failed.append(outcome)
            stop.set()
        return outcome

    with ThreadPoolExecutor(len(launches)) as threads:
        outcomes = list(threads.map(one, launches))
    return [*failed, *outcomes][0]
