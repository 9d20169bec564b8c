"""What propose reads, against localcloud's registry and S3."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gitops.errors import GitopsError
from gitops.promotion import candidate
from tests.gitops.candidates import candidate as example
from tests.gitops.candidates import decision
from tests.gitops.serving import Registry


@pytest.fixture(scope="module")
def registry(localcloud):
    return Registry(localcloud.client("s3"), localcloud.client("sagemaker"))


def run_of(registry: Registry, release):
    """(the run that registered the release, its package) with the registry's own dates."""
    found = registry.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
    run_id = found["CustomerMetadataProperties"]["run_id"]
    started = datetime(2020, 1, 1, tzinfo=UTC)
    return replace(example(1).execution, run_id=run_id, started=started), found


def with_evidence(registry: Registry, found: dict, body: bytes | None) -> dict:
    key = f"evaluations/{found['ModelPackageVersion']}"
    if body is not None:
        registry.s3.put_object(Bucket="images-bucket", Key=f"{key}/decision.json", Body=body)
    metadata = {**found["CustomerMetadataProperties"], "evaluation_uri": f"s3://images-bucket/{key}/"}
    return {**found, "CustomerMetadataProperties": metadata}


def test_the_package_is_the_one_this_run_registered(registry):
    releases = [registry.release() for _ in range(3)]
    run, _ = run_of(registry, releases[1])
    found = candidate.package(registry.sagemaker, registry.group, run)
    assert found["ModelPackageArn"] == releases[1].package_arn


def test_a_runs_challengers_are_never_its_candidate(registry):
    proposed = registry.release()
    run, found = run_of(registry, proposed)
    registry.release(run_id=found["CustomerMetadataProperties"]["run_id"], verdict="challenger")  # registered after it
    assert candidate.package(registry.sagemaker, registry.group, run)["ModelPackageArn"] == proposed.package_arn


def test_a_run_that_registered_nothing_new_has_no_package(registry):
    run, _ = run_of(registry, registry.release())
    assert candidate.package(registry.sagemaker, registry.group, replace(run, run_id="0" * 64)) is None
    assert (
        candidate.package(registry.sagemaker, registry.group, replace(run, started=datetime(2100, 1, 1, tzinfo=UTC)))
        is None
    )


def test_a_candidate_is_package_and_decision_about_the_same_archive(registry):
    release = registry.release()
    run, found = run_of(registry, release)
    body = json.dumps(decision(archive_sha256=release.archive_sha256)).encode()
    made = candidate.candidate(registry.s3, "ncf", run, with_evidence(registry, found, body))
    assert made.release == release
    assert (made.verdict, made.version) == ("pass", release.version)


WRONG = {
    "no decision": (None, "cannot be read"),
    "no JSON": (b"{", "is not JSON"),
    "no object": (b"[]", "is not a JSON object"),
    "another archive": (json.dumps(decision(archive_sha256="b" * 64)).encode(), "its decision is about bbbb"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_package_without_sound_evidence_is_refused(registry, case):
    body, sentence = WRONG[case]
    run, found = run_of(registry, registry.release())
    with pytest.raises(GitopsError, match=sentence):
        candidate.candidate(registry.s3, "ncf", run, with_evidence(registry, found, body))


@pytest.mark.parametrize("verdict", ["fail", "PASS", "", None])
def test_only_pass_and_inconclusive_are_proposed(registry, verdict):
    release = registry.release()
    run, found = run_of(registry, release)
    body = json.dumps({**decision(archive_sha256=release.archive_sha256), "verdict": verdict}).encode()
    with pytest.raises(GitopsError, match="only pass and inconclusive"):
        candidate.candidate(registry.s3, "ncf", run, with_evidence(registry, found, body))
