"""One writer per endpoint, what a busy or broken one meets, and what autoscaling owns."""

import json
import threading
import time
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from gitops.clock import Clock
from gitops.delivery import autoscaling
from gitops.delivery.endpoint import FENCE, Endpoint
from gitops.delivery.lease import Store
from gitops.errors import GitopsError
from tests.gitops.team import FILE, lease, served


class Counting:
    """SageMaker, with every UpdateEndpoint and CreateEndpoint counted."""

    def __init__(self, sagemaker) -> None:
        self.sagemaker, self.calls = sagemaker, []

    def __getattr__(self, name):
        return getattr(self.sagemaker, name)

    def create_endpoint(self, **request):
        self.calls.append("create")
        return self.sagemaker.create_endpoint(**request)

    def update_endpoint(self, **request):
        self.calls.append("update")
        return self.sagemaker.update_endpoint(**request)


def test_two_reconcilers_at_once_make_one_update(team, registry):
    served(team, registry)
    counting = Counting(team.clients.sagemaker)
    commit = team.host.head()
    failures: list[str] = []

    def run() -> None:
        cloud = replace(team.clients, sagemaker=counting)
        failures.extend(replace(team.reconciler(), cloud=cloud, commit=commit).all())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, counting.calls) == ([], ["update"])
    endpoint = Endpoint(team.clients.sagemaker, f"{team.name}-ncf-staging", lease(team))
    assert endpoint.fence == 2  # the second came to an endpoint that was as asked, and wrote nothing


def test_a_build_that_slept_through_its_lease_changes_nothing(team, registry):
    first, _ = served(team, registry)

    class Asleep(Counting):
        """Between its look and its note, another build comes, works and goes."""

        def create_endpoint_config(self, **request):
            answer = self.sagemaker.create_endpoint_config(**request)
            if not self.calls:
                self.calls.append("asleep")
                store = Store(team.clients.s3, "images-bucket", f"{team.name}-ncf-staging")
                text = json.dumps({"holder": "another", "number": 9, "seconds": 60.0, "held": True})
                team.clients.s3.put_object(Bucket=store.bucket, Key=store.key, Body=text.encode())
            return answer

    asleep = Asleep(team.clients.sagemaker)
    (failure,) = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=asleep)).all()
    assert "another build took over" in failure
    assert asleep.calls == ["asleep"]
    assert team.serving(first)["version"] == str(first.version)


def test_a_lower_number_than_the_endpoints_is_refused_though_the_lease_is_held(team, registry):
    served(team, registry)
    arn = team.endpoint()["EndpointArn"]
    held = lease(team)
    held.acquire(1, 0)
    team.clients.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": FENCE, "Value": "99"}])
    endpoint = Endpoint(team.clients.sagemaker, team.endpoint()["EndpointName"], held)
    with pytest.raises(GitopsError, match="build 99 was here after this one"):
        endpoint.forget()
    held.release()
    assert team.reconcile() == []
    assert endpoint.fence == 100


def test_f44_an_endpoint_that_stays_busy_is_waited_for_until_the_deadline(team, registry):
    served(team, registry)

    class Busy(Counting):
        def describe_endpoint(self, **request):
            return {**self.sagemaker.describe_endpoint(**request), "EndpointStatus": "SystemUpdating"}

    seconds = [0.0]

    def sleep(pause: float) -> None:
        seconds[0] += pause
        assert seconds[0] < 10_000, "waits without an end"

    clock = Clock(monotonic=lambda: seconds[0], sleep=sleep)
    busy = Busy(team.clients.sagemaker)
    cloud = replace(team.clients, sagemaker=busy)
    (failure,) = replace(team.reconciler(), cloud=cloud, clock=clock, seconds=300).all()
    assert "still SystemUpdating at the deadline" in failure
    assert (busy.calls, 300 < seconds[0] < 330) == ([], True)


def test_f44_an_endpoint_that_is_busy_whenever_it_is_called_is_given_up(team, registry):
    first, _ = served(team, registry)

    class Restless(Counting):
        def update_endpoint(self, **request):
            self.calls.append("update")
            assert len(self.calls) < 100, "calls without an end"
            message = "Cannot update in-progress endpoint"
            raise ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "UpdateEndpoint")

    restless = Restless(team.clients.sagemaker)
    (failure,) = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=restless)).all()
    assert "does not come to rest" in failure
    assert team.serving(first)["version"] == str(first.version)


def test_f41_an_endpoint_that_is_moved_back_while_it_is_verified_is_no_success(team, registry):
    served(team, registry)
    config = team.endpoint()["EndpointConfigName"]

    class Moving:
        """The runtime, where somebody moves the endpoint once the first golden request was answered."""

        moved = False

        def invoke_endpoint(self, **request):
            answer = team.clients.runtime.invoke_endpoint(**request)
            if not self.moved:
                self.moved = True
                team.clients.sagemaker.update_endpoint(EndpointName=request["EndpointName"], EndpointConfigName=config)
            return answer

    (failure,) = replace(team.reconciler(), cloud=replace(team.clients, runtime=Moving())).all()
    assert "was changed while it was verified" in failure
    assert team.host.every == []  # nobody has to take the release back
    while team.endpoint()["EndpointStatus"] != "InService":  # what moves cannot be cleared away
        time.sleep(0.05)


def test_f50_an_update_that_is_denied_is_asked_for_once_and_named(team, registry):
    first, _ = served(team, registry)
    words = "User: arn:aws:sts::1:role/x is not authorized to perform: sagemaker:UpdateEndpoint on resource: arn:aws:e"

    class Denying(Counting):
        def update_endpoint(self, **request):
            self.calls.append("update")
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": words}}, "UpdateEndpoint")

    denying = Denying(team.clients.sagemaker)
    (failure,) = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=denying)).all()
    assert f"AWS refused UpdateEndpoint: AccessDeniedException: {words}" in failure
    assert denying.calls == ["update"]
    assert team.serving(first)["version"] == str(first.version)


def test_f43_a_rollback_that_failed_freezes_the_endpoint_and_names_recover(team, registry):
    served(team, registry)

    class Broken(Counting):
        def describe_endpoint(self, **request):
            return {**self.sagemaker.describe_endpoint(**request), "EndpointStatus": "UpdateRollbackFailed"}

    broken = Broken(team.clients.sagemaker)
    (failure,) = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=broken)).all()
    assert "python -m gitops recover" in failure
    assert broken.calls == []


def scaled(team) -> dict[str, tuple[int, int]]:
    """What Application Auto Scaling was told of the staging endpoint: limits by variant."""
    name = f"endpoint/{team.name}-ncf-staging/variant"
    ids = [f"{name}/{variant}" for variant in ("main", "challenger")]
    found = team.clients.client(autoscaling.SERVICE).describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=ids
    )["ScalableTargets"]
    return {one["ResourceId"].rpartition("/")[2]: (one["MinCapacity"], one["MaxCapacity"]) for one in found}


def unscaled(team) -> None:
    """Git asks for no autoscaling any more."""
    path = team.repository.root / FILE["staging"]
    kept = [line for line in path.read_text().splitlines(keepends=True) if not line.startswith("autoscaling:")]
    team.repository.commit({FILE["staging"]: "".join(kept)})


ASKED = {"autoscaling": "{min: 1, max: 4, invocations_per_instance: 750}"}


def test_instances_that_autoscaling_owns_are_kept_over_an_update_and_given_back_after_it(team, registry):
    team.write(registry.release(), **ASKED)
    assert team.reconcile() == []
    assert scaled(team) == {"main": (1, 4)}
    name = team.endpoint()["EndpointName"]
    policies = team.clients.client(autoscaling.SERVICE).describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=f"endpoint/{name}/variant/main"
    )["ScalingPolicies"]
    assert [one["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for one in policies] == [750]
    rows = [{"VariantName": "main", "DesiredInstanceCount": 3}]  # as autoscaling does
    team.clients.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=rows)
    team.write(registry.release(), **ASKED)
    assert team.reconcile() == []
    assert team.endpoint()["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    unscaled(team)
    team.policy("paused: true\nreason: an incident\n")
    assert team.reconcile() == []
    assert any("not done: autoscaling; paused" in line for line in team.said)
    team.policy("paused: false\n")
    assert team.reconcile() == []
    assert (scaled(team), team.endpoint()["ProductionVariants"][0]["CurrentInstanceCount"]) == ({}, 1)


@pytest.mark.heavy
def test_what_is_scaled_gets_another_instance_type_and_is_scaled_again(team, registry):
    release = registry.release()
    challenger = json.dumps({"release": registry.release().model_dump(), "share": 0.25})
    team.write(release, challenger=challenger, **ASKED)
    assert team.reconcile() == []
    assert set(scaled(team)) == {"main", "challenger"}
    larger = "{mode: realtime, instance_type: ml.c6i.xlarge, instances: 1}"
    team.write(release, challenger="null", serving=larger, **ASKED)
    assert team.reconcile() == []
    assert any("off autoscaling for the update: main, challenger" in line for line in team.said)
    assert scaled(team) == {"main": (1, 4)}


@pytest.mark.heavy
def test_a_variant_that_somebody_had_scaled_without_git_is_taken_off_and_its_instances_put_back(team, registry):
    team.write(registry.release())
    assert team.reconcile() == []
    target = {"ServiceNamespace": "sagemaker", "ScalableDimension": autoscaling.DIMENSION}
    target["ResourceId"] = f"endpoint/{team.endpoint()['EndpointName']}/variant/main"
    team.clients.client(autoscaling.SERVICE).register_scalable_target(**target, MinCapacity=2, MaxCapacity=3)
    assert team.reconcile() == []
    assert (scaled(team), team.endpoint()["ProductionVariants"][0]["CurrentInstanceCount"]) == ({}, 1)
