"""What is live without git's leave, and when git's word waits: drift, freezes and pauses on a real localcloud."""

import time
from datetime import UTC, datetime

from gitops import ledger
from tests.gitops.team import FILE, served


def record(release) -> str:
    archive = {"uri": release.archive_uri, "sha256": release.archive_sha256}
    found = {"id": release.id, "package_arn": release.package_arn, "image": release.image, "archive": archive}
    return ledger.render(found)


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


SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC)
WEDNESDAY = datetime(2026, 11, 18, 12, tzinfo=UTC)
FROZEN = "freeze: {zone: UTC, weekly: [{start: sat 00:00, end: sun 00:00, reason: the weekend}]}\n"


def test_a_freeze_holds_a_new_release_back_and_lets_a_rollback_pass(team, registry):
    first, second = served(team, registry)
    team.policy(FROZEN)
    assert team.reconciler_at(SATURDAY).all() == []
    assert any("not done: update" in line and "frozen until sun 00:00 (UTC): the weekend" in line for line in team.said)
    assert team.serving(first)["version"] == str(first.version)
    assert team.reconciler_at(WEDNESDAY).all() == []
    assert team.serving(second)["version"] == str(second.version)
    team.write(first)
    assert team.reconciler_at(SATURDAY).all() == []
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
