"""The file by which commands find a running localcloud: <directory>/localcloud.json.

A process is named by its id and its start time, so that an id the system gave to another process is never signalled.
The directory itself is locked (flock) while a localcloud runs in it; the kernel lets go when that process ends.
"""

import fcntl
import json
import os
import secrets
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .service import CloudError

FILE = "localcloud.json"


@dataclass(frozen=True)
class State:
    """What a running localcloud tells those who look for it."""

    pid: int
    started: str
    endpoint: str
    region: str
    git_root: str
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return bool(self.started) and start_time(self.pid) == self.started


def lock(directory: Path) -> int:
    """Take the directory for this process, returning the descriptor to keep; CloudError if it is taken."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        running = read(directory)
        where = f" at {running.endpoint} (pid {running.pid})" if running else ""
        remedy = f"stop it with `python -m localcloud down --directory {directory}` or name another --directory"
        raise CloudError("AlreadyRunning", f"{directory}: a localcloud runs here{where}; {remedy}") from error
    return descriptor


def locked(directory: Path) -> bool:
    """Whether a localcloud runs in the directory, or is about to: the lock is its first act, the state its last."""
    try:
        os.close(lock(directory))
    except CloudError:
        return True
    return False


def read(directory: Path) -> State | None:
    """The state left in the directory; None if there is none that can be read."""
    try:
        content: dict[str, Any] = json.loads((directory / FILE).read_text())
        return State(**content)
    except (OSError, ValueError, TypeError):
        return None


def write(directory: Path, state: State) -> None:
    """Publish the state at once, readable by its owner only: it holds the git host's tokens."""
    temporary = directory / f"{FILE}.{secrets.token_hex(4)}"
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(asdict(state), indent=2) + "\n")
    temporary.replace(directory / FILE)


def start_time(pid: int) -> str:
    """When process `pid` started, in the system's own words; empty if there is no such process."""
    try:
        # the 22nd field, counted after the command's closing parenthesis, which may hold anything
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()
