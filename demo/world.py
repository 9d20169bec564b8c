"""Starting and stopping the demo's world: one local cloud, one origin, one clone, all below .demo/."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from demo.cloud import Cloud
from demo.data import Dataset
from demo.errors import DemoError
from demo.story import Story
from demo.team import Team, run
from pipelines import project, sources

MODEL = "ncf"
PARAMS = f"params/{MODEL}.yml"


@dataclass
class World:
    """All sides of the story."""

    root: Path
    home: Path
    data: Dataset
    story: Story
    cloud: Cloud
    team: Team


def localcloud(root: Path, *arguments: str) -> str:
    """`python -m localcloud ...` from the project's root."""
    return run([sys.executable, "-m", "localcloud", *arguments], root)


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Refuse a second demo in the same place. The kernel drops this lock when the process ends, however it ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"{home}: another demo is running here; wait for it or stop it first") from None
        yield


def serving_archive(root: Path) -> tuple[str, bytes]:
    """(digest, bytes) of the packed serving code: on a laptop this is the serving image."""
    archive = sources.pack(root / "serving_code", "serving_code")
    return hashlib.sha256(archive).hexdigest(), archive


def write_images(path: Path, bucket: str) -> None:
    """Which image runs as which process (docs/localcloud.md)."""
    images = [
        {
            "image": "*/serving@sha256:*",
            "source": f"s3://{bucket}/images/serving/{{digest}}.tar.gz",
            "command": ["python", "-m", "serving_code"],
        },
        {"image": "*", "source": "environment"},
    ]
    path.write_text(yaml.safe_dump({"images": images}))


def exports(root: Path, directory: Path) -> dict[str, str]:
    """The variables `python -m localcloud env` prints, as a dictionary."""
    lines = localcloud(root, "env", "--directory", str(directory)).splitlines()
    pairs = (line.removeprefix("export ").partition("=") for line in lines if "=" in line)
    return {name: value.strip("'\"") for name, _, value in pairs}


def raise_cloud(root: Path, home: Path, story: Story) -> Cloud:
    """Start localcloud on a free port and return the way to it."""
    settings = project.load(root)
    bucket = f"{settings.project}-123456789012-{settings.region}"  # localcloud's account
    write_images(home / "images.yml", bucket)
    directory = home / "cloud"
    options = {"--directory": directory, "--images": home / "images.yml", "--git-root": home / "git", "--port": 0}
    words = [str(word) for pair in options.items() for word in pair]
    localcloud(root, "up", "--detach", "--region", settings.region, *words)
    return Cloud(exports(root, directory), settings.project, settings.git.project, story.say)


def lower_cloud(root: Path, home: Path) -> None:
    """Stop localcloud and all its processes; fine if there is none."""
    subprocess.run(
        [sys.executable, "-m", "localcloud", "down", "--directory", str(home / "cloud")],
        cwd=root,
        capture_output=True,
        check=False,
    )
