"""What was tried and is not good is asked back in git, and what is live without git's leave is drift."""

import io
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gitops import ledger
from gitops.clock import Clock
from gitops.endpoint import FENCE, Endpoint
from gitops.errors import GitopsError
from gitops.lease import Lease, Store
from tests.gitops.serving import Registry
from tests.gitops.team import FILE, at_work, connect


@pytest.fixture(scope="module")
def clients(localcloud):
    return connect(localcloud)


@pytest.fixture(scope="module")
def registry(clients):
    return Registry(clients.s3, clients.sagemaker)


@pytest.fixture
def team(tmp_path, clients):
    with at_work(tmp_path / "origin", clients) as found:
        yield found


def record(release) -> str:
    archive = {"uri": release.archive_uri, "sha256": release.archive_sha256}
    found = {"id": release.id, "package_arn": release.package_arn, "image": release.image, "archive": archive}
    return ledger.render(found)


def served(team, registry, behaviour: str = "good"):
    """A good release in service, then one that behaves so, asked for: (good, other)."""
    good, other = registry.release(), registry.release(behaviour)
    team.write(good)
    assert team.reconcile() == []
    team.write(other)
    return good, other


def test_f42_a_release_that_was_rolled_back_is_closed_and_asked_back_once(team, registry):
    good, sick = served(team, registry, "sick")
    before = (team.repository.git("show", f"HEAD~1:{FILE['staging']}") + "\n").encode()
    (failure,) = team.reconcile()
    assert "rolled back" in failure
    (request,) = team.host.every
    assert request.branch.startswith("revert/staging/ncf-")
    assert request.title == f"Revert ncf in staging to {good.id} (version {good.version})"
    assert team.host.changed_by(request) == [FILE["staging"]]
    assert team.host.read(FILE["staging"], request.branch).encode() == before
    body = team.host.bodies[request.number]
    assert sick.id in body
    assert "rolled back" in body
    assert "| alarms | none watched |" in body
    team.reconcile()
    assert len(team.host.every) == 1
    team.host.merge(request)
    assert team.reconcile() == []
    assert team.serving(good)["version"] == str(good.version)


def test_f42_a_revert_that_a_person_turned_down_is_not_asked_again(team, registry):
    served(team, registry, "sick")
    team.reconcile()
    team.host.close(team.host.every[0], "no")
    team.reconcile()
    assert [request.state for request in team.host.every] == ["closed"]


def test_f42_where_policy_says_so_the_revert_merges_itself(team, registry):
    good, _ = served(team, registry, "wrong")
    team.policy("revert: auto\n")
    (failure,) = team.reconcile()
    assert "golden requests fail" in failure
    assert [request.state for request in team.host.every] == ["merged"]
    assert team.reconcile() == []
    assert team.serving(good)["version"] == str(good.version)


def test_a_first_release_that_fails_has_nothing_to_go_back_to(team, registry):
    team.write(registry.release("wrong"))
    assert "golden requests fail" in team.reconcile()[0]
    assert team.host.every == []
    assert any("nothing to revert to" in line for line in team.said)


class Closed:
    """A git host whose token may only read."""

    def __init__(self, host) -> None:
        self.host = host

    def __getattr__(self, name):
        return getattr(self.host, name)

    def open(self, change, base):
        raise GitopsError("the git host answered 403: insufficient scope")


def test_a_git_host_that_takes_no_request_does_not_hide_why_one_is_needed(team, registry):
    served(team, registry, "wrong")
    (failure,) = replace(team.reconciler(), host=Closed(team.host)).all()
    assert "golden requests fail" in failure
    assert any("no revert request could be made: the git host answered 403" in line for line in team.said)


def test_f40_the_last_words_of_a_container_that_never_became_healthy_are_said(team, registry):
    served(team, registry, "sick")
    said: list[str] = []
    deadline = time.monotonic() + 30
    while not said and time.monotonic() < deadline:  # CloudWatch has them a moment later
        assert "rolled back" in team.reconcile()[0]
        said = [line for line in team.said if "log: " in line]
    assert any("this image is sick" in line for line in said)


class Stopwatch:
    """The endpoint's runtime, and a clock that only its answers move: by `milliseconds`, a version's own number."""

    def __init__(self, runtime, milliseconds: dict[str, float]) -> None:
        self.runtime, self.milliseconds, self.seconds = runtime, milliseconds, 0.0
        self.clock = Clock(monotonic=lambda: self.seconds)

    def invoke_endpoint(self, **request):
        answer = self.runtime.invoke_endpoint(**request)
        body = answer["Body"].read()
        self.seconds += self.milliseconds[json.loads(body)["model"]["version"]] / 1000
        return {**answer, "Body": io.BytesIO(body)}


def test_f46_a_release_much_slower_than_the_champion_is_rejected(team, registry):
    releases = [registry.release() for _ in range(3)]
    milliseconds = dict(zip((str(each.version) for each in releases), (20.0, 55.0, 200.0), strict=True))
    watch = Stopwatch(team.clients.runtime, milliseconds)

    def deploy(release) -> list[str]:
        team.write(release, verify="{max_p99_ratio: 3}")
        cloud = replace(team.clients, runtime=watch)
        return replace(team.reconciler(), cloud=cloud, clock=watch.clock).all()

    assert deploy(releases[0]) == []
    assert deploy(releases[1]) == []
    assert any("p99 under load 55.0 ms, the champion's 20.0 ms" in line for line in team.said)
    (failure,) = deploy(releases[2])
    assert "p99 is 200.0 ms, the champion's 55.0 ms; verify allows 3 times that" in failure
    assert [request.state for request in team.host.every] == ["opened"]
    assert "200.0 ms" in deploy(releases[2])[0]  # what it is compared with is noted on the endpoint


def test_f46_a_challenger_is_compared_with_the_champion_beside_it(team, registry):
    champion, challenger = registry.release(), registry.release()
    watch = Stopwatch(team.clients.runtime, {str(champion.version): 20.0, str(challenger.version): 61.0})
    second = json.dumps({"release": challenger.model_dump(), "share": 0.5})
    team.write(champion, challenger=second, verify="{max_p99_ratio: 3}")
    cloud = replace(team.clients, runtime=watch)
    (failure,) = replace(team.reconciler(), cloud=cloud, clock=watch.clock).all()
    assert "p99 is 61.0 ms, the champion's 20.0 ms" in failure


def drifted(team, registry):
    """Git asks for `asked`, was given it, and then somebody moved the endpoint to `other`."""
    other, asked = registry.release(), registry.release()
    team.repository.commit({ledger.path("ncf", other.id): record(other)})
    team.write(other)
    assert team.reconcile() == []
    config = team.endpoint()["EndpointConfigName"]
    team.write(asked)
    assert team.reconcile() == []
    name = team.endpoint()["EndpointName"]
    team.clients.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    while team.endpoint()["EndpointStatus"] != "InService":
        time.sleep(0.05)
    return other, asked


def test_drift_is_reported_proposed_or_healed_as_the_environment_says(team, registry):
    other, asked = drifted(team, registry)
    team.policy("drift: report\n")
    (failure,) = team.reconcile()
    assert "drift: " in failure
    assert "git, unchanged, asks for" in failure
    assert team.serving(other)["version"] == str(other.version)
    team.policy("drift: propose\n")
    assert team.reconcile() == []
    assert team.reconcile() == []
    (request,) = team.host.every
    assert (request.branch, team.host.changed_by(request)) == (f"drift/staging/{other.id}", [FILE["staging"]])
    assert team.serving(other)["version"] == str(other.version)
    team.policy("drift: heal\n")
    assert team.reconcile() == []
    assert team.serving(asked)["version"] == str(asked.version)


def test_drift_that_was_proposed_and_merged_is_what_git_says(team, registry):
    other, _ = drifted(team, registry)
    team.policy("drift: propose\n")
    assert team.reconcile() == []
    team.host.merge(team.host.every[0])
    modified = team.endpoint()["LastModifiedTime"]
    assert team.reconcile() == []
    assert team.serving(other)["version"] == str(other.version)
    assert team.endpoint()["LastModifiedTime"] == modified


def test_f35_what_was_approved_outside_git_is_reported_and_not_deployed(team, registry):
    served_now, newer = registry.release(), registry.release()
    team.write(served_now, "production")
    assert team.reconcile("production") == []
    team.clients.sagemaker.update_model_package(ModelPackageArn=newer.package_arn, ModelApprovalStatus="Approved")
    assert team.reconcile("production") == []
    assert any(f"{newer.package_arn}: drift: is Approved outside git" in line for line in team.said)
    assert team.serving(served_now, "production")["version"] == str(served_now.version)


SATURDAY = Clock(now=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))
WEDNESDAY = Clock(now=lambda: datetime(2026, 11, 18, 12, tzinfo=UTC))
FROZEN = "freeze: {zone: UTC, weekly: [{start: sat 00:00, end: sun 00:00, reason: the weekend}]}\n"


def test_a_freeze_holds_a_new_release_back_and_lets_a_rollback_pass(team, registry):
    first, second = served(team, registry)
    team.policy(FROZEN)
    frozen = replace(team.reconciler(), clock=SATURDAY)
    assert frozen.all() == []
    assert any("not done: update" in line and "frozen until sun 00:00 (UTC): the weekend" in line for line in team.said)
    assert team.serving(first)["version"] == str(first.version)
    assert replace(team.reconciler(), clock=WEDNESDAY).all() == []
    assert team.serving(second)["version"] == str(second.version)
    team.write(first)
    assert replace(team.reconciler(), clock=SATURDAY).all() == []
    assert team.serving(first)["version"] == str(first.version)


def test_a_pause_holds_everything_back_even_a_rollback(team, registry):
    first, second = served(team, registry)
    assert team.reconcile() == []
    team.write(first)
    team.policy("paused: true\nreason: we look into an incident\n")
    assert team.reconcile() == []
    assert any("not done: update" in line and "paused: we look into an incident" in line for line in team.said)
    assert team.serving(second)["version"] == str(second.version)


def test_a_policy_that_cannot_be_read_changes_nothing(team, registry):
    team.write(registry.release())
    team.policy("pause: true\n")
    assert "_policy.yml: pause: unknown key" in team.reconcile()[0]


def lease(team, name: str = "by hand") -> Lease:
    return Lease(Store(team.clients.s3, "images-bucket", f"{team.name}-ncf-staging"), name)


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
    clock = Clock(monotonic=lambda: seconds[0], sleep=lambda pause: seconds.__setitem__(0, seconds[0] + pause))
    busy = Busy(team.clients.sagemaker)
    cloud = replace(team.clients, sagemaker=busy)
    (failure,) = replace(team.reconciler(), cloud=cloud, clock=clock, seconds=300).all()
    assert "still SystemUpdating at the deadline" in failure
    assert (busy.calls, 300 < seconds[0] < 330) == ([], True)


def test_f43_a_rollback_that_failed_freezes_the_endpoint_and_names_recover(team, registry):
    served(team, registry)

    class Broken(Counting):
        def describe_endpoint(self, **request):
            return {**self.sagemaker.describe_endpoint(**request), "EndpointStatus": "UpdateRollbackFailed"}

    broken = Broken(team.clients.sagemaker)
    (failure,) = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=broken)).all()
    assert "python -m gitops recover" in failure
    assert broken.calls == []


def test_autoscaling_that_nobody_answers_is_said_and_instances_is_carried_out(team, registry):
    team.write(registry.release(), autoscaling="{min: 1, max: 4, invocations_per_instance: 750}")
    assert team.reconcile() == []
    assert any("autoscaling is not carried out here" in line and "serving.instances is" in line for line in team.said)
    team.write(registry.release())
    assert team.reconcile() == []


class Scaling(Counting):
    """Application Auto Scaling as it answers, and an UpdateEndpoint that notes what it was told to keep."""

    def __init__(self, sagemaker) -> None:
        super().__init__(sagemaker)
        self.kept: list[dict] = []
        self.targets: dict[str, dict] = {}

    def update_endpoint(self, **request):
        self.kept.append({key: request.pop(key) for key in list(request) if "Retain" in key})
        return self.sagemaker.update_endpoint(**request)

    def register_scalable_target(self, **request):
        self.targets[request["ResourceId"]] = {"min": request["MinCapacity"], "max": request["MaxCapacity"]}

    def put_scaling_policy(self, **request):
        self.targets[request["ResourceId"]]["policy"] = request["TargetTrackingScalingPolicyConfiguration"]

    def deregister_scalable_target(self, **request):
        del self.targets[request["ResourceId"]]


def test_instances_that_autoscaling_owns_are_kept_over_an_update_and_given_back_after_it(team, registry):
    scaling = Scaling(team.clients.sagemaker)
    cloud = replace(team.clients, sagemaker=scaling, client=lambda name: scaling)
    asked = {"autoscaling": "{min: 1, max: 4, invocations_per_instance: 750}"}
    for _ in range(2):
        team.write(registry.release(), **asked)
        assert replace(team.reconciler(), cloud=cloud).all() == []
    (target,) = scaling.targets.items()
    assert target[0] == f"endpoint/{team.name}-ncf-staging/variant/main"
    assert target[1]["policy"]["TargetValue"] == 750
    (kept,) = scaling.kept
    excluded = [each["VariantPropertyType"] for each in kept["ExcludeRetainedVariantProperties"]]
    assert (kept["RetainAllVariantProperties"], excluded) == (True, ["DesiredWeight", "DataCaptureConfig"])
    text = (team.repository.root / FILE["staging"]).read_text().replace(f"autoscaling: {asked['autoscaling']}\n", "")
    team.repository.commit({FILE["staging"]: text})
    assert replace(team.reconciler(), cloud=cloud).all() == []
    assert scaling.targets == {}
