"""The whole loop on this machine: `python -m demo [--keep] [--data synthetic]` (or `make demo`)."""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from botocore.exceptions import ClientError
from gitlab.exceptions import GitlabError

from demo.data import DATASETS
from demo.errors import DemoError
from demo.stages import STAGES
from demo.story import Story
from demo.team import environment, found
from demo.world import MODEL, World, lower_cloud, only_one, raise_cloud


def tell(root: Path, home: Path, data: str, keep: bool) -> None:
    """Run every stage; raises DemoError at the first claim that does not hold."""
    story = Story()
    stands = False
    lower_cloud(root, home)  # what a killed demo may have left
    (home / "summary.json").unlink(missing_ok=True)
    try:
        world = build_world(root, home, data, story)
        for name, stage, look in STAGES:
            with story.stage(name, look):
                stage(world)
        finish(world)
        stands = keep
    except (DemoError, ClientError, GitlabError):
        story.write(home / "summary.json", 0.0)
        raise
    finally:
        if not stands:
            lower_cloud(root, home)
    if stands:
        print("\nlocalcloud stays up; look around with the AWS CLI or boto3 after")
        print("\n".join(f"export {name}='{value}'" for name, value in world.cloud.exports.items()))
        print("and stop it with: .venv/bin/python -m localcloud down --directory .demo/cloud")


def build_world(root: Path, home: Path, data: str, story: Story) -> World:
    """The cloud, the origin and the clone, before the story begins."""
    with story.stage("start localcloud", "docs/localcloud.md"):
        for leftover in ("clone", "git"):
            shutil.rmtree(home / leftover, ignore_errors=True)
        dataset = DATASETS[data]()
        cloud = raise_cloud(root, home, story)
        origin = home / "git" / f"{cloud.git_project}.git"
        address = f"{cloud.exports['GIT_URL']}/{cloud.git_project}.git"
        address = address.replace("://", f"://demo:{cloud.exports['GIT_REVIEWER_TOKEN']}@")
        team = found(root, origin, address, home / "clone", environment(cloud.exports))
    return World(root, home, dataset, story, cloud, team)


def finish(world: World) -> None:
    """The table, and .demo/summary.json."""
    story = world.story
    story.facts["metrics"] = metrics(world)
    wall, overhead = story.write(world.home / "summary.json", world.cloud.step_seconds(MODEL))
    print(f"\n{story.table()}\n")
    print(f"{wall:.1f} s in all, {overhead:.1f} s of them outside the pipelines' steps; {world.home.name}/summary.json")


def metrics(world: World) -> dict[str, object]:
    """Per registered version, which model it is and the metrics of its evaluation."""
    s3 = world.cloud.client("s3")
    found: dict[str, object] = {}
    for package in world.cloud.packages(MODEL):
        metadata = package["CustomerMetadataProperties"]
        bucket, _, prefix = metadata["evaluation_uri"].removeprefix("s3://").partition("/")
        body = s3.get_object(Bucket=bucket, Key=f"{prefix.rstrip('/')}/decision.json")["Body"].read()
        measured = json.loads(body)["models"][metadata["model"]]["metrics"]
        found[str(package["ModelPackageVersion"])] = {"model": metadata["model"], **measured}
    return found


def stop(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave localcloud up at the end")
    parser.add_argument("--data", choices=sorted(DATASETS), default="completejourney", help="whose purchases")
    arguments = parser.parse_args(argv)
    root = Path(__file__).resolve().parent.parent
    signal.signal(signal.SIGTERM, stop)
    try:
        with only_one(root / ".demo"):
            tell(root, root / ".demo", arguments.data, arguments.keep)
    except (DemoError, ClientError, GitlabError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything the demo had started is stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
