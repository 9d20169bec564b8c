"""Endpoints that no reconcile may touch, brought back on a real localcloud."""

import time

import pytest

from gitops.aws import split_uri
from gitops.delivery.decide import MOVING, STATES, Desired, Kind, Observed, decide
from gitops.delivery.endpoint import ATTEMPT_DIGEST, ATTEMPT_MODIFIED
from gitops.delivery.lease import Lease, Store
from gitops.errors import GitopsError
from gitops.oncall.live import wait
from gitops.oncall.recover import Cloud, plan, recover
from tests.gitops.site import Site

TRIES = {Kind.CREATE, Kind.UPDATE, Kind.RECREATE}


@pytest.fixture
def site(localcloud, tmp_path):
    found = Site(localcloud, tmp_path / "clone")
    yield found
    found.clean()


def run(site: Site, act: bool = True, sagemaker=None) -> bool:
    site.said.clear()
    cloud = Cloud(sagemaker or site.sagemaker, site.runtime, site.s3)
    return recover(cloud, site.slot, site.name, act, site.said.append)


class Stuck:
    """SageMaker, where the endpoint's last rollback failed until somebody updates it."""

    def __init__(self, sagemaker) -> None:
        self.sagemaker, self.stuck = sagemaker, True

    def __getattr__(self, name: str):
        return getattr(self.sagemaker, name)

    def describe_endpoint(self, **request):
        found = self.sagemaker.describe_endpoint(**request)
        return found | {"EndpointStatus": "UpdateRollbackFailed"} if self.stuck else found

    def update_endpoint(self, **request):
        self.stuck = False
        return self.sagemaker.update_endpoint(**request)


class Dying(Stuck):
    """SageMaker, where the process ends before its endpoint is created, or deleted as well."""

    def __init__(self, sagemaker, call: str) -> None:
        super().__init__(sagemaker)
        self.stuck = False
        setattr(self, call, self.die)

    def die(self, **request):
        raise KeyboardInterrupt


def next_build(site: Site) -> Kind:
    """What the next deploy build would do about the spec that git asked for when it failed."""
    live, modified = site.observe(), site.sagemaker.describe_endpoint(EndpointName=site.endpoint)["LastModifiedTime"]
    digest = live.notes[ATTEMPT_DIGEST]
    noted = {"attempt_digest": digest, "attempt_modified": live.notes[ATTEMPT_MODIFIED]}
    observed = Observed(status=live.status, config=live.config, modified=modified.isoformat(), **noted)
    return decide(Desired(site.spec().config["EndpointConfigName"], digest), observed).kind


def test_f43_a_rollback_that_failed_is_recovered_from_the_last_good_release(site):
    """UpdateRollbackFailed: reconcile refuses, `recover` updates to the last release with a record."""
    good, bad = site.registry.release(), site.registry.release("sick")
    config = site.deploy(good).config
    site.deploy(bad)
    stuck = Stuck(site.sagemaker)
    assert run(site, act=False, sagemaker=stuck)
    assert stuck.stuck
    assert site.said[-1] == "nothing was done; with --yes the steps above are taken"
    assert run(site, sagemaker=stuck)
    observed = site.observe()
    assert (observed.status, observed.config) == ("InService", config)
    assert f"python -m gitops rollback staging ncf --to {good.id}" in site.said[-1]
    assert next_build(site) not in TRIES  # what failed is not tried again
    assert not run(site)


def test_f43_a_rolling_update_whose_way_back_is_lost_is_recovered_once_the_archive_is_back(site, localcloud):
    """UpdateRollbackFailed by SageMaker itself: an alarm rings while the archive of what served is gone."""
    good, bad = site.registry.release(), site.registry.release()
    config = site.deploy(good, serving="{instance_type: ml.c6i.large, instances: 3}").config
    alarm = f"{site.name}-rings"
    rule = {"Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore"}
    metric = {"Namespace": "Lab", "MetricName": alarm, "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    cloudwatch = localcloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName=alarm, **metric, **rule)
    bucket, _, key = good.archive_uri.removeprefix("s3://").partition("/")
    archive = site.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    site.roll(bad, alarm)
    while site.instances() == 3:
        time.sleep(0.02)
    site.s3.delete_object(Bucket=bucket, Key=key)
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="errors")
    assert wait(site.sagemaker, site.endpoint, site.said.append).status == "UpdateRollbackFailed"
    site.s3.put_object(Bucket=bucket, Key=key, Body=archive)
    assert run(site)
    observed = site.observe()
    assert (observed.status, observed.config) == ("InService", config)


def test_f45_an_endpoint_that_failed_is_made_again_where_that_is_allowed(site):
    good, bad = site.registry.release(), site.registry.release("sick")
    config = site.deploy(good).config
    site.delete()
    assert site.deploy(bad).status == "Failed"
    with pytest.raises(GitopsError, match="merge allow_recreate: true"):
        run(site)
    assert site.observe().status == "Failed"
    site.commit(bad, allow_recreate="true")
    assert run(site)
    observed = site.observe()
    assert (observed.status, observed.config) == ("InService", config)
    assert next_build(site) not in TRIES


@pytest.mark.parametrize("call", ["delete_endpoint", "create_endpoint"])
def test_f43_a_recovery_that_dies_between_deleting_and_creating_is_finished_by_the_next(site, call):
    good, bad = site.registry.release(), site.registry.release("sick")
    config = site.deploy(good).config
    site.delete()
    assert site.deploy(bad, allow_recreate="true").status == "Failed"
    with pytest.raises(KeyboardInterrupt):
        run(site, sagemaker=Dying(site.sagemaker, call))
    assert (site.observe() is None) == (call == "create_endpoint")
    assert run(site)
    assert (site.observe().status, site.observe().config) == ("InService", config)
    assert next_build(site) not in TRIES  # what failed is not tried again
    site.delete()
    assert not run(site)  # nor is an endpoint put back that somebody deleted later


def test_a_release_without_its_record_is_passed_over(site):
    good, other = site.registry.release(), site.registry.release()
    config = site.deploy(good).config
    site.commit(other, record=False)
    site.deploy(site.registry.release("sick"))
    assert run(site, sagemaker=Stuck(site.sagemaker))
    assert f"{other.id}: has no record in releases/, so it is passed over" in site.said
    assert site.observe().config == config


def test_f43_a_release_whose_archive_was_changed_is_passed_over(site):
    """The last good release is one that can still be served: its archive has the digest that git has."""
    good, damaged = site.registry.release(), site.registry.release()
    config = site.deploy(good).config
    site.deploy(damaged)
    bucket, key = damaged.archive_uri.removeprefix("s3://").split("/", 1)
    site.s3.put_object(Bucket=bucket, Key=key, Body=b"not what was approved")
    site.deploy(site.registry.release("sick"))
    assert run(site, sagemaker=Stuck(site.sagemaker))
    assert any(line.startswith(f"{damaged.id}: is passed over; ") for line in site.said)
    assert site.observe().config == config


def test_what_cannot_be_recovered_is_explained_and_nothing_is_touched(site):
    first = site.registry.release("sick")
    assert not run(site)
    assert "is not there; python -m gitops sync staging makes" in site.said[0]
    site.deploy(first)
    with pytest.raises(GitopsError, match="has no earlier release that is whole"):
        run(site)
    site.commit(site.registry.release())
    site.commit(first)
    with pytest.raises(GitopsError, match="no endpoint config of it is left"):
        run(site)
    assert site.observe().status == "Failed"


@pytest.mark.parametrize("status", sorted(MOVING | {"InService"}))
def test_no_step_is_planned_for_an_endpoint_that_serves_or_moves(status):
    with pytest.raises(GitopsError, match="recover is for"):
        plan(status, "endpoint", "config", allow_recreate=True)


@pytest.mark.parametrize("status", sorted(STATES))
def test_f45_without_allow_recreate_no_plan_deletes(status):
    try:
        steps = plan(status, "endpoint", "config", allow_recreate=False)
    except GitopsError:
        steps = []
    assert "delete" not in {kind.value for kind, _ in steps}


def test_a_build_that_is_at_work_on_the_endpoint_is_not_disturbed(site):
    good = site.registry.release()
    site.deploy(good)
    site.deploy(site.registry.release("sick"))
    bucket, _ = split_uri(good.archive_uri)
    other = Lease(Store(site.s3, bucket, site.endpoint), "a reconcile")
    other.acquire(0, 0)
    stuck = Stuck(site.sagemaker)
    with pytest.raises(GitopsError, match=r"a reconcile .* is at work on it"):
        run(site, sagemaker=stuck)
    assert stuck.stuck
    other.release()
    assert run(site, sagemaker=stuck)
