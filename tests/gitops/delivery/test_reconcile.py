"""Reconcile against a real localcloud: its endpoints are processes, its rollbacks are rollbacks."""

import hashlib
import json
from dataclasses import replace

import pytest

from gitops import deployment, specs
from gitops.errors import GitopsError
from gitops.oncall import status
from tests.gitops.host import RepositoryHost
from tests.gitops.team import FILE, ROLE


def test_a_null_release_deploys_nothing_and_says_so(team):
    assert team.reconcile() == []
    assert "nothing is deployed" in team.said[0]
    assert status.observe(team.clients.sagemaker, f"{team.name}-ncf-staging") is None


def test_a_release_is_created_updated_and_rolled_back_by_its_commit(team, registry):
    first, second = registry.release(), registry.release()
    team.write(first)
    assert team.reconcile() == []
    assert team.serving(first) == {"name": "ncf", "version": str(first.version), "runId": team.serving(first)["runId"]}
    config = team.endpoint()["EndpointConfigName"]
    team.write(second)
    assert team.reconcile() == []
    assert team.serving(second)["version"] == str(second.version)
    team.repository.git("revert", "--no-edit", "HEAD")
    assert team.reconcile() == []
    assert team.endpoint()["EndpointConfigName"] == config
    modified = team.endpoint()["LastModifiedTime"]
    assert team.reconcile() == []
    assert team.endpoint()["LastModifiedTime"] == modified


def test_f41_a_release_that_was_silently_rolled_back_is_not_tried_again_until_retry_is_raised(team, registry):
    good, sick = registry.release(), registry.release("sick")
    team.write(good)
    assert team.reconcile() == []
    team.write(sick)
    (failure,) = team.reconcile()
    assert "rolled back" in failure
    assert team.serving(good)["version"] == str(good.version)
    modified = team.endpoint()["LastModifiedTime"]
    assert "rolled back" in team.reconcile()[0]
    assert team.endpoint()["LastModifiedTime"] == modified
    team.write(sick, retry="1")
    assert "rolled back" in team.reconcile()[0]
    assert team.endpoint()["LastModifiedTime"] > modified


def test_f45_an_endpoint_that_failed_is_deleted_and_created_only_where_that_is_allowed(team, registry):
    team.write(registry.release("sick"))
    (failure,) = team.reconcile()
    assert "Failed" in failure
    good = registry.release()
    team.write(good)
    assert "allow_recreate" in team.reconcile()[0]
    team.write(good, allow_recreate="true")
    assert team.reconcile() == []
    assert team.serving(good)["version"] == str(good.version)


def test_in_service_with_the_asked_config_is_no_success_if_the_answers_are_wrong(team, registry):
    team.write(registry.release("wrong"))
    (failure,) = team.reconcile()
    assert "golden requests fail" in failure
    assert team.endpoint()["EndpointStatus"] == "InService"


def test_f46_answers_that_come_too_late_are_no_success(team, registry):
    team.write(registry.release("slow"), verify="{max_p99_ms: 100}")
    assert "verify allows 100" in team.reconcile()[0]


def test_what_someone_changed_outside_git_is_put_right(team, registry):
    asked, other = registry.release(), registry.release()
    team.write(other)
    assert team.reconcile() == []
    config = team.endpoint()["EndpointConfigName"]
    team.write(asked)
    assert team.reconcile() == []
    name = team.endpoint()["EndpointName"]
    team.clients.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    assert team.reconcile() == []
    assert team.serving(asked)["version"] == str(asked.version)


def test_f11_an_attempt_noted_before_a_crash_is_made_after_it(team, registry):
    from gitops.delivery.endpoint import ATTEMPT_DIGEST, ATTEMPT_MODIFIED

    team.write(registry.release())
    assert team.reconcile() == []
    second = registry.release()
    team.write(second)
    live = team.endpoint()
    found = team.clients.sagemaker.describe_model_package(ModelPackageName=second.package_arn)
    desired = deployment.load(team.repository.root / FILE["staging"])
    run_id = found["CustomerMetadataProperties"]["run_id"]
    facts = {second.id: specs.Facts(run_id, hashlib.sha256(run_id.encode()).hexdigest())}
    digest = specs.spec(desired, specs.Place(team.name, "staging", ROLE), facts).digest
    tags = {ATTEMPT_DIGEST: digest, ATTEMPT_MODIFIED: live["LastModifiedTime"].isoformat()}
    team.clients.sagemaker.add_tags(
        ResourceArn=live["EndpointArn"], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    assert team.reconcile() == []
    assert team.serving(second)["version"] == str(second.version)


def block(release, **more) -> str:
    return json.dumps({"release": release.model_dump(), **more})


def test_a_challenger_takes_its_share_and_proves_itself_too(team, registry):
    champion, challenger = registry.release(), registry.release()
    team.write(champion, challenger=block(challenger, share=0.25))
    assert team.reconcile() == []
    weights = {one["VariantName"]: one["CurrentWeight"] for one in team.endpoint()["ProductionVariants"]}
    assert weights == {"main": 0.75, "challenger": 0.25}
    assert any("challenger: golden requests answered" in line for line in team.said)
    team.write(champion, challenger=block(registry.release("wrong"), share=0.25))
    (failure,) = team.reconcile()
    assert "(challenger): 1 of 1 golden requests fail" in failure


def test_a_challenger_that_the_registry_does_not_know_is_refused(team, registry):
    other = registry.release().model_copy(update={"archive_sha256": "0" * 64})
    team.write(registry.release(), challenger=block(other, share=0.25))
    assert "was registered for another archive" in team.reconcile()[0]


def test_only_production_approves_and_names_the_commit(team, registry):
    release = registry.release()
    team.write(release)
    assert team.reconcile() == []
    package = team.clients.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    commit = team.write(release, "production")
    assert team.reconcile("production") == []
    package = team.clients.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
    assert package["ModelApprovalStatus"] == "Approved"
    assert commit in package["ApprovalDescription"]


def test_the_serving_container_reaches_no_network(team, registry):
    release = registry.release()
    team.write(release)
    assert team.reconcile() == []
    sagemaker = team.clients.sagemaker
    config = sagemaker.describe_endpoint_config(EndpointConfigName=team.endpoint()["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    assert model["EnableNetworkIsolation"] is True


def test_one_file_that_fails_does_not_stop_the_others(team, registry):
    good = registry.release()
    team.write(good)
    team.repository.commit({"deploy/staging/alpha.yml": "model: alpha\n"})
    failures = team.reconcile()
    assert [failure.split(":")[0] for failure in failures] == ["deploy/staging/alpha.yml"]
    assert team.serving(good)["version"] == str(good.version)


def test_f58_a_commit_that_is_not_on_the_branch_is_refused(team, registry):
    team.repository.git("checkout", "--quiet", "-b", "topic")
    sha = team.write(registry.release())
    stray = replace(team.reconciler(), commit=sha)
    assert "not on the protected branch" in stray.all()[0]
    with pytest.raises(GitopsError):
        stray.one(team.repository.root / FILE["staging"])


def test_a_file_changed_on_its_way_is_refused(team, registry):
    team.write(registry.release())
    file = team.repository.root / FILE["staging"]
    file.write_text(file.read_text() + "# harmless\n")
    assert "changed on its way" in team.reconcile()[0]


def test_f02_an_older_commit_is_superseded_and_that_is_no_failure(team, registry):
    older = team.write(registry.release())
    text = (team.repository.root / FILE["staging"]).read_text()
    team.write(registry.release())
    (team.repository.root / FILE["staging"]).write_text(text)
    assert replace(team.reconciler(), commit=older).all() == []
    assert "superseded" in team.said[0]


class MovingHost(RepositoryHost):
    """A newer version of the file is merged while the build is at work: after its first question."""

    newer: str = ""

    def contains(self, sha: str) -> bool:
        answer = super().contains(sha)
        text, self.newer = self.newer, ""
        if text:
            self.repository.git("commit", "--quiet", "--allow-empty", "--message", "older")
            path = self.repository.root / FILE["staging"]
            mine = path.read_text()
            self.repository.commit({FILE["staging"]: text})
            path.write_text(mine)  # the build's own unpacked source does not change
        return answer


def test_f03_a_build_overtaken_by_a_newer_commit_deploys_nothing(team, registry):
    commit = team.write(registry.release())
    moving = MovingHost(team.repository)
    moving.newer = (team.repository.root / FILE["staging"]).read_text() + "retry: 7\n"
    moving.newer = moving.newer.replace("retry: 0\n", "")
    overtaken = replace(team.reconciler(), host=moving, commit=commit)
    assert overtaken.all() == []
    assert "superseded" in team.said[-1]
    assert status.observe(team.clients.sagemaker, f"{team.name}-ncf-staging") is None


def test_f44_a_build_that_meets_another_one_at_work_waits_and_goes_on(team, registry):
    first, second = registry.release(), registry.release()
    team.write(first)
    assert team.reconcile() == []
    config = team.endpoint()["EndpointConfigName"]
    team.write(second)
    client = Meanwhile(team.clients.sagemaker, config)
    again = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=client))
    assert again.all() == []
    assert any("another build is at work" in line for line in team.said)
    assert team.serving(second)["version"] == str(second.version)


class Meanwhile:
    """SageMaker, where someone else's UpdateEndpoint arrives a moment before the first of ours."""

    def __init__(self, sagemaker, config: str) -> None:
        self.sagemaker, self.config = sagemaker, config

    def __getattr__(self, name: str):
        return getattr(self.sagemaker, name)

    def update_endpoint(self, **request):
        config, self.config = self.config, ""
        if config:
            self.sagemaker.update_endpoint(EndpointName=request["EndpointName"], EndpointConfigName=config)
        return self.sagemaker.update_endpoint(**request)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"archive_sha256": "0" * 64}, "another archive"),
        ({"id": "ncf-000000000000"}, "another run"),
        ({"package_arn": "arn:aws:sagemaker:eu-west-1:123456789012:model-package/nothing/1"}, "not in the registry"),
    ],
)
def test_f36_a_release_that_disagrees_with_the_registry_is_refused(team, registry, change, sentence):
    team.write(registry.release().model_copy(update=change))
    assert sentence in team.reconcile()[0]


def test_f36_an_archive_replaced_after_its_registration_is_refused(team, registry):
    release, other = registry.release(), registry.release()  # both are whole, and each would serve
    keys = [one.archive_uri.removeprefix("s3://images-bucket/") for one in (release, other)]
    team.clients.s3.copy_object(
        Bucket="images-bucket", Key=keys[0], CopySource={"Bucket": "images-bucket", "Key": keys[1]}
    )
    team.write(release)
    assert "changed since" in team.reconcile()[0]
    assert status.observe(team.clients.sagemaker, f"{team.name}-ncf-staging") is None


def test_status_shows_git_beside_what_is_live(team, registry):
    def row() -> status.Row:
        return status.rows(team.clients.sagemaker, team.repository.root, team.name, ["staging", "production"])[0]

    release, newer = registry.release(), registry.release()
    assert (row().desired, row().live, row().sync, row().health) == ("-", "-", "Synced", "Missing")
    team.write(release)
    assert (row().desired, row().sync, row().health) == (release.id, "OutOfSync", "Missing")
    assert team.reconcile() == []
    assert (row().live, row().sync, row().health) == (release.id, "Synced", "Healthy")
    team.write(newer)
    assert (row().desired, row().live, row().sync) == (newer.id, release.id, "OutOfSync")
    assert status.table([row()]).splitlines()[0].split() == list(status.HEADER)
