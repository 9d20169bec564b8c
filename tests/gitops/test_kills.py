"""Every command that changes something may be killed at any moment, alone or with all it started, and be run again."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from localcloud import state
from tests.conftest import IMAGES, LocalCloud
from tests.gitops.test_crash import ROOT, Notify, Propose, Reject, Scene, Start, Update, expected, make  # noqa: F401

pytestmark = pytest.mark.heavy


class Rollback(Scene):
    """Staging goes back to its first release; params let a program merge there."""

    command = ("gitops", "rollback", "staging", "ncf")

    def prepare(self) -> None:
        for _ in range(2):
            self.deploy("staging", self.registry.release())

    def tell(self) -> dict:
        self.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
        text = (self.clone.root / "deploy/staging/ncf.yml").read_text()
        return {"requests": self.requests(), "text": text}


class Data(Scene):
    """Two partitions come into the lock of the clone."""

    def prepare(self) -> None:
        s3 = self.registry.s3
        self.bucket = f"kill-{self.name}"
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
        keys = [f"raw/completejourney/week=2017-4{number}/part-0.csv" for number in (1, 2)]
        for key in keys:
            s3.put_object(Bucket=self.bucket, Key=key, Body=b"a,b\n1,2\n")
        self.command = ("gitops", "data", "params/ncf.yml", "--add", *keys)

    def variables(self) -> dict[str, str]:
        return {"ARTIFACT_BUCKET": self.bucket}

    def tell(self) -> dict:
        return {"lock": (self.clone.root / "params/ncf.data.yml").read_text()}


class Plan(Scene):
    """Reads two commits, and leaves nothing behind in the clone."""

    command = ("gitops", "plan", "--base", "HEAD~1", "--head", "HEAD")

    def prepare(self) -> None:
        self.push({"params/ncf.yml": (self.clone.root / "params/ncf.yml").read_text() + "run: {nonce: 1}\n"})


SCENES = (Notify, Propose, Start, Update, Reject, Rollback, Data, Plan)
calm: dict[type[Scene], tuple[float, tuple[int, dict]]] = {}


def rest(scene: Scene) -> tuple[int, dict]:
    """The exit code and what is left when the command has been run again and finds nothing to do."""
    scene.run()
    return scene.run(), scene.left()


def undisturbed(make, kind: type[Scene]) -> tuple[float, tuple[int, dict]]:  # noqa: F811 - a shared fixture
    """Seconds that the first run takes, of which a random moment is part; and where it all ends."""
    if kind not in calm:
        scene, began = make(kind), time.monotonic()
        scene.run()
        calm[kind] = time.monotonic() - began, (scene.run(), scene.left())
    return calm[kind]


def kill(scene: Scene, seconds: float, group: bool) -> None:
    """Run the scene's command and SIGKILL it after so long: alone, or with every process that it started."""
    scene.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
    environment = scene.told()
    process = subprocess.Popen(
        [sys.executable, "-m", *scene.command],
        cwd=scene.clone.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()


def clutter(scene: Scene) -> list[str]:
    """What lies in the clone that no command should leave."""
    git = scene.clone.git
    changed = [line for line in git("status", "--porcelain").splitlines() if not line.endswith("params/ncf.data.yml")]
    branches = [name for name in git("branch", "--format=%(refname:short)").splitlines() if name != "main"]
    return [*changed, *branches, *git("worktree", "list").splitlines()[1:]]


@pytest.mark.parametrize("group", [True, False], ids=["all", "alone"])
@pytest.mark.parametrize("kind", SCENES, ids=lambda kind: kind.__name__)
def test_f11_a_command_that_is_killed_at_random_moments_and_runs_again_leaves_no_trace_of_it(make, kind, group):  # noqa: F811
    dice = random.Random(f"{kind.__name__} {group}")
    whole, wanted = undisturbed(make, kind)
    found = make(kind)
    for _ in range(2):
        kill(found, dice.random() * whole, group)
    assert rest(found) == wanted, found.output
    assert clutter(found) == []


@pytest.mark.parametrize("tenths", range(4, 32, 3))
def test_f11_a_deploy_that_is_killed_at_any_moment_and_runs_again_leaves_no_trace_of_it(make, tenths):  # noqa: F811
    wanted = expected(make, Update)
    found = make(Update)
    found.run(seconds=tenths / 10)
    assert (found.run(), found.left()) == wanted, found.output


@pytest.mark.parametrize("moment", ["deploy/production/ncf.yml", "update", "Updating"])
def test_f11_a_cloud_that_dies_under_a_deployment_ends_it_in_one_line_and_can_be_started_again(
    start_localcloud, tmp_path, moment
):
    images = tmp_path / "images.yml"
    images.write_text(IMAGES)
    cloud = start_localcloud("--images", str(images))
    scene = Update(cloud, tmp_path / "first")
    process = subprocess.Popen(
        [sys.executable, "-m", *scene.command],
        cwd=scene.clone.root,
        env=scene.told() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = next(line for line in process.stdout if moment in line)
    os.kill(cloud.state.pid, signal.SIGKILL)
    more, error = process.communicate(timeout=300)
    said += more
    assert process.returncode == 1, said + error
    assert "Traceback" not in said + error
    assert len(error.splitlines()) == 1
    again = ["up", "--port", cloud.endpoint.rpartition(":")[2], "--detach", "--directory", str(cloud.directory)]
    subprocess.run([sys.executable, "-m", "localcloud", *again, "--images", str(images)], cwd=ROOT, check=True)
    fresh = LocalCloud(cloud.directory, state.read(cloud.directory))
    second = Update(fresh, tmp_path / "second")
    assert second.run() == 0, second.output
