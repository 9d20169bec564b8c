"""Two deploy builds as two processes: at the same moment, killed, stopped, and with clocks that are wrong."""

import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.gitops.test_crash import ROOT, Update

# read by Python before anything else: every clock of the process that could be wrong is wrong
WRONG = """
import datetime, os, time

shift, now = float(os.environ["CLOCK_WRONG_BY"]), time.time
time.time = lambda: now() + shift


class Wrong(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)


datetime.datetime = Wrong
"""


class Builds(Update):
    """Production is to move from one release to another, and more than one build does it."""

    def wrong(self, seconds: float) -> dict[str, str]:
        """The variables of a process whose clock is wrong by so much."""
        folder = self.clone.root.parent / "wrong"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(WRONG)
        return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "CLOCK_WRONG_BY": str(seconds)}

    def lease(self) -> dict:
        key = f"leases/{self.name}-ncf-{self.environment}.json"
        return json.loads(self.registry.s3.get_object(Bucket="images-bucket", Key=key)["Body"].read())

    def endpoint(self) -> tuple:
        """What it serves since when, and its tags."""
        described = self.sagemaker.describe_endpoint(EndpointName=f"{self.name}-ncf-{self.environment}")
        tags = self.sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
        return described["EndpointConfigName"], described["LastModifiedTime"], tags

    def until_held(self) -> None:
        """The build that was started has the lease."""
        deadline = time.monotonic() + 20
        while not self.lease()["held"]:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def builds(localcloud, tmp_path):
    found = Builds(localcloud, tmp_path)
    yield found
    found.sagemaker.delete_endpoint(EndpointName=f"{found.name}-ncf-{found.environment}")


@pytest.mark.parametrize("hours", [1, pytest.param(0, marks=pytest.mark.heavy)])
def test_two_processes_at_once_make_one_update_though_both_their_clocks_are_wrong(builds, hours):
    both = [builds.begin(**builds.wrong(seconds)) for seconds in (3600 * hours, -3600 * hours)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    left = builds.tell()
    assert (left["as asked"], left["updates"], left["attempt"]) == (True, 1, False)
    assert builds.lease()["number"] == 3  # the first deployment had 1


@pytest.mark.heavy
@pytest.mark.parametrize("hours", [-1, 1])
def test_f11_a_process_killed_with_the_lease_in_hand_is_followed_by_one_with_a_higher_number(builds, hours):
    killed = builds.begin()
    builds.until_held()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    number = builds.lease()["number"]
    assert builds.run(**builds.wrong(3600 * hours)) == 0, builds.output
    left = builds.tell()
    assert (left["as asked"], left["updates"], left["attempt"]) == (True, 1, False)
    assert builds.lease()["number"] == number + 1


@pytest.mark.heavy
@pytest.mark.parametrize("hours", [-1, 1])
def test_f11_a_process_that_was_stopped_and_goes_on_after_its_lease_changes_nothing(builds, hours):
    stopped = builds.begin(**builds.wrong(3600 * hours))
    builds.until_held()
    stopped.send_signal(signal.SIGSTOP)
    assert builds.run() == 0, builds.output
    before = builds.endpoint()
    stopped.send_signal(signal.SIGCONT)
    said = stopped.communicate()[0]
    # 0 only if it was stopped after its call: then all is as it wanted
    assert stopped.returncode == 0 or "another build took over" in said, said
    assert builds.endpoint() == before
    assert builds.tell()["updates"] == 1


@pytest.mark.heavy
@pytest.mark.parametrize("hours", [1, -1])
def test_a_freeze_holds_though_the_clock_of_the_build_is_outside_of_it(builds, hours):
    now = datetime.now(UTC)
    start, end = (f"{now + timedelta(minutes=minutes):%Y-%m-%d %H:%M}" for minutes in (-30, 30))
    builds.push({"deploy/production/_policy.yml": f"freeze: {{zone: UTC, dated: [{{start: {start}, end: {end}}}]}}\n"})
    assert builds.run(**builds.wrong(3600 * hours)) == 0
    assert "not done: update" in builds.output
    assert "frozen until" in builds.output
