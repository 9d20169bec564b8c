"""CodeBuild through boto3: projects, builds, their records, logs, events and artifacts."""

import io
import json
import time
import zipfile
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

IMAGE = "aws/codebuild/standard:7.0"
ENVIRONMENT = {"type": "LINUX_CONTAINER", "image": IMAGE, "computeType": "BUILD_GENERAL1_SMALL"}
ROLE = "arn:aws:iam::123456789012:role/builder"


def buildspec(*commands: str, rest: str = "") -> str:
    lines = "".join(f"      - {json.dumps(command)}\n" for command in commands)
    return f"version: 0.2\nphases:\n  build:\n    commands:\n{lines}{rest}"


@pytest.fixture
def codebuild(localcloud):
    return localcloud.client("codebuild")


@pytest.fixture
def project(codebuild):
    """A function that creates a project with an inline buildspec and returns its name."""

    def create(spec: str, **members) -> str:
        name = f"p-{uuid4().hex[:12]}"
        given = {
            "source": {"type": "NO_SOURCE", "buildspec": spec},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": ENVIRONMENT,
            "serviceRole": ROLE,
        }
        codebuild.create_project(name=name, **(given | members))
        return name

    return create


@pytest.fixture
def bucket(localcloud):
    name = f"b-{uuid4().hex[:12]}"
    localcloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def finished(codebuild, build: dict, seconds: float = 20) -> dict:
    for _ in range(int(seconds / 0.05)):
        found = codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]
        if found["buildComplete"]:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{found['currentPhase']} after {seconds} s")


def log_of(localcloud, build: dict) -> list[str]:
    logs = localcloud.client("logs")
    where = {"logGroupName": build["logs"]["groupName"], "logStreamName": build["logs"]["streamName"]}
    return [event["message"] for event in logs.get_log_events(**where, startFromHead=True)["events"]]


def zipped(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def test_a_build_passes_through_every_phase_in_order(codebuild, project):
    build = codebuild.start_build(projectName=project(buildspec("true")))["build"]
    assert (build["buildStatus"], build["buildComplete"], build["currentPhase"]) == ("IN_PROGRESS", False, "QUEUED")
    done = finished(codebuild, build)
    assert done["buildStatus"] == "SUCCEEDED"
    assert done["currentPhase"] == "COMPLETED"
    assert done["endTime"] >= done["startTime"]
    assert [phase["phaseType"] for phase in done["phases"]] == [
        "SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
        "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED",
    ]  # fmt: skip


def test_a_failed_command_is_named_in_the_phase_and_in_the_log(codebuild, project, localcloud):
    done = finished(codebuild, codebuild.start_build(projectName=project(buildspec("echo before", "exit 3")))["build"])
    message = "Error while executing command: exit 3. Reason: exit status 3"
    phase = next(phase for phase in done["phases"] if phase["phaseType"] == "BUILD")
    assert done["buildStatus"] == phase["phaseStatus"] == "FAILED"
    assert phase["contexts"] == [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": message}]
    lines = log_of(localcloud, done)
    assert "before" in lines
    assert any(line.endswith("Running command exit 3") for line in lines)
    assert any(line.endswith("Phase complete: BUILD State: FAILED") for line in lines)
    assert any(
        line.endswith(f"Phase context status code: COMMAND_EXECUTION_ERROR Message: {message}") for line in lines
    )


def test_the_log_can_be_read_while_the_build_runs(codebuild, project, localcloud):
    build = codebuild.start_build(projectName=project(buildspec("echo early", "sleep 20")))["build"]
    found = build
    for _ in range(100):
        found = codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]
        if found["currentPhase"] == "BUILD" and "early" in log_of(localcloud, found):
            break
        time.sleep(0.1)
    assert not found["buildComplete"]
    assert "early" in log_of(localcloud, found)
    codebuild.stop_build(id=build["id"])
    done = finished(codebuild, build)
    assert done["buildStatus"] == "STOPPED"
    assert [phase["phaseStatus"] for phase in done["phases"] if phase["phaseType"] == "BUILD"] == ["STOPPED"]


def test_it_builds_the_zip_that_the_start_names(codebuild, project, localcloud, bucket):
    spec = buildspec("cat message", "echo $COMMIT from $CODEBUILD_SOURCE_REPO_URL")
    localcloud.client("s3").put_object(
        Bucket=bucket, Key="source/abc.zip", Body=zipped({"message": "hello from the zip\n", "ci/spec.yml": spec})
    )
    name = project("", source={"type": "S3", "location": f"{bucket}/source/none.zip", "buildspec": "ci/spec.yml"})
    missing = finished(codebuild, codebuild.start_build(projectName=name)["build"])
    assert missing["buildStatus"] == "FAILED"
    assert missing["phases"][3]["phaseType"] == "DOWNLOAD_SOURCE"
    assert missing["phases"][3]["contexts"][0]["statusCode"] == "CLIENT_ERROR"
    done = finished(
        codebuild,
        codebuild.start_build(
            projectName=name,
            sourceLocationOverride=f"{bucket}/source/abc.zip",
            environmentVariablesOverride=[{"name": "COMMIT", "value": "abc"}],
        )["build"],
    )
    assert done["buildStatus"] == "SUCCEEDED", log_of(localcloud, done)
    assert done["source"]["location"] == f"{bucket}/source/abc.zip"
    assert {"hello from the zip", f"abc from {bucket}/source/abc.zip"} <= set(log_of(localcloud, done))


def test_the_start_overrides_the_project_which_overrides_the_buildspec(codebuild, project):
    rest = "env:\n  variables: {A: buildspec, B: buildspec, C: buildspec}\n  exported-variables: [A, B, C]\n"
    variables = [{"name": "B", "value": "project"}, {"name": "C", "value": "project"}]
    name = project(buildspec("true", rest=rest), environment=ENVIRONMENT | {"environmentVariables": variables})
    start = codebuild.start_build(projectName=name, environmentVariablesOverride=[{"name": "C", "value": "start"}])
    exported = finished(codebuild, start["build"])["exportedEnvironmentVariables"]
    assert {one["name"]: one["value"] for one in exported} == {"A": "buildspec", "B": "project", "C": "start"}


def test_f57_secrets_reach_the_build_and_never_the_log(codebuild, project, localcloud):
    secret = f"s-{uuid4().hex}"
    localcloud.client("secretsmanager").create_secret(Name=secret, SecretString='{"token": "t0ps3cret"}')
    variables = [{"name": "TOKEN", "value": f"{secret}:token", "type": "SECRETS_MANAGER"}]
    spec = buildspec('test "$TOKEN" = "t0ps""3cret"', "echo token=$TOKEN", "exit 7 # t0ps3cret")
    done = finished(
        codebuild,
        codebuild.start_build(projectName=project(spec), environmentVariablesOverride=variables)["build"],
    )
    assert "Reason: exit status 7" in json.dumps(done, default=str)
    assert "token=***" in log_of(localcloud, done)
    assert "t0ps3cret" not in json.dumps(log_of(localcloud, done)) + json.dumps(done["phases"], default=str)


def test_a_secret_that_does_not_exist_fails_the_download_phase(codebuild, project):
    rest = "env:\n  secrets-manager: {TOKEN: no-such-secret}\n"
    done = finished(codebuild, codebuild.start_build(projectName=project(buildspec("true", rest=rest)))["build"])
    failed = next(phase for phase in done["phases"] if phase.get("phaseStatus") == "FAILED")
    assert failed["phaseType"] == "DOWNLOAD_SOURCE"
    assert "no-such-secret" in failed["contexts"][0]["message"]


def test_a_wrong_buildspec_is_a_yaml_file_error_that_names_the_key(codebuild, project):
    done = finished(codebuild, codebuild.start_build(projectName=project("version: 0.2\nphase: {}\n"))["build"])
    context = done["phases"][3]["contexts"][0]
    assert context["statusCode"] == "YAML_FILE_ERROR"
    assert "line 2: phase: unknown key" in context["message"]
    assert [phase["phaseType"] for phase in done["phases"][4:]] == ["FINALIZING", "COMPLETED"]


def test_artifacts_are_uploaded_as_files_or_as_a_zip(codebuild, project, localcloud, bucket):
    rest = (
        "artifacts:\n  base-directory: out\n  files: ['**/*']\n  exclude-paths: ['**/*.log']\n  name: $KIND-1\n"
        "  secondary-artifacts:\n    extra:\n      files: [out/sub/two.txt]\n      discard-paths: yes\n"
    )
    spec = buildspec(
        "KIND=site; mkdir -p out/sub; echo 1 > out/one.txt; echo 2 > out/sub/two.txt; echo > out/x.log", rest=rest
    )
    place = {"type": "S3", "location": bucket}
    name = project(
        spec,
        artifacts=place | {"path": "a", "packaging": "ZIP", "overrideArtifactName": True},
        secondaryArtifacts=[place | {"artifactIdentifier": "extra", "name": "more", "namespaceType": "BUILD_ID"}],
    )
    done = finished(codebuild, codebuild.start_build(projectName=name)["build"])
    assert done["buildStatus"] == "SUCCEEDED", log_of(localcloud, done)
    assert done["artifacts"]["location"] == f"arn:aws:s3:::{bucket}/a/site-1"
    body = localcloud.client("s3").get_object(Bucket=bucket, Key="a/site-1")["Body"].read()
    assert zipfile.ZipFile(io.BytesIO(body)).namelist() == ["one.txt", "sub/two.txt"]
    uuid = done["id"].partition(":")[2]
    listed = localcloud.client("s3").list_objects_v2(Bucket=bucket, Prefix=uuid)["Contents"]
    assert [one["Key"] for one in listed] == [f"{uuid}/more/two.txt"]


def test_artifacts_of_a_failed_build_are_uploaded_all_the_same(codebuild, project, localcloud, bucket):
    spec = buildspec("echo trace > core.txt", "false", rest="artifacts:\n  files: [core.txt]\n")
    name = project(spec, artifacts={"type": "S3", "location": bucket, "name": "/"})
    done = finished(codebuild, codebuild.start_build(projectName=name)["build"])
    assert done["buildStatus"] == "FAILED"
    assert localcloud.client("s3").get_object(Bucket=bucket, Key="core.txt")["Body"].read() == b"trace\n"


def test_junit_reports_are_counted_and_kept(codebuild, project):
    suite = (
        '<testsuite name="unit"><testcase classname="a" name="good" time="0.5"/>'
        '<testcase name="bad"><failure message="no"/></testcase>'
        '<testcase name="later"><skipped/></testcase></testsuite>'
    )
    rest = "reports:\n  unit:\n    files: ['**/*.xml']\n    base-directory: results\n"
    spec = buildspec(f"mkdir -p results/a; echo '{suite}' > results/a/junit.xml; exit 1", rest=rest)
    name = project(spec)
    done = finished(codebuild, codebuild.start_build(projectName=name)["build"])
    (report,) = codebuild.batch_get_reports(reportArns=done["reportArns"])["reports"]
    assert (report["status"], report["executionId"], report["name"]) == ("FAILED", done["arn"], f"{name}-unit")
    assert report["testSummary"]["total"] == 3
    assert report["testSummary"]["statusCounts"] == {"SUCCEEDED": 1, "FAILED": 1, "ERROR": 0, "SKIPPED": 1}
    (bad,) = codebuild.describe_test_cases(reportArn=report["arn"], filter={"status": "FAILED"})["testCases"]
    assert (bad["name"], bad["message"], bad["testRawDataPath"]) == ("bad", "no", "a/junit.xml")
    group = codebuild.batch_get_report_groups(reportGroupArns=[report["reportGroupArn"]])["reportGroups"][0]
    assert group["name"] == f"{name}-unit"
    listed = codebuild.list_reports_for_report_group(reportGroupArn=group["arn"])["reports"]
    assert listed == [report["arn"]]
    assert report["arn"] in codebuild.list_reports()["reports"]
    assert report["arn"] not in codebuild.list_reports(filter={"status": "SUCCEEDED"})["reports"]
    first = codebuild.describe_test_cases(reportArn=report["arn"], maxResults=2)
    rest = codebuild.describe_test_cases(reportArn=report["arn"], nextToken=first["nextToken"])
    assert [len(page["testCases"]) for page in (first, rest)] == [2, 1]
    assert group["arn"] in codebuild.list_report_groups()["reportGroups"]


def test_a_report_without_files_or_of_another_format_fails_the_upload(codebuild, project):
    rest = "reports:\n  unit:\n    files: [{}]\n"
    for command, file, message in (
        ("true", "none.xml", "report files not found in build"),
        ("echo '{}' > a.xml", "a.xml", "a.xml is not JUNITXML"),
        ("echo '<html/>' > a.xml", "a.xml", "it begins with <html>"),
    ):
        build = codebuild.start_build(projectName=project(buildspec(command, rest=rest.format(file))))["build"]
        failed = [phase for phase in finished(codebuild, build)["phases"] if phase.get("phaseStatus") == "FAILED"]
        assert [phase["phaseType"] for phase in failed] == ["UPLOAD_ARTIFACTS"]
        assert message in failed[0]["contexts"][0]["message"]


def test_an_archive_that_would_write_outside_its_folder_is_refused(codebuild, project, localcloud, bucket):
    for number, key in enumerate(("../outside", "/etc/outside")):
        body = zipped({"buildspec.yml": buildspec("true"), key: "x"})
        localcloud.client("s3").put_object(Bucket=bucket, Key=f"{number}.zip", Body=body)
        name = project("", source={"type": "S3", "location": f"{bucket}/{number}.zip"})
        done = finished(codebuild, codebuild.start_build(projectName=name)["build"])
        assert "would be written outside" in done["phases"][3]["contexts"][0]["message"]


def test_builds_leave_no_folder_and_no_variable_of_localcloud_behind(codebuild, project, localcloud):
    done = finished(codebuild, codebuild.start_build(projectName=project(buildspec("env")))["build"])
    assert not (localcloud.directory / "codebuild" / done["id"].partition(":")[2]).exists()
    lines = log_of(localcloud, done)
    assert "CI=true" in lines
    assert f"CODEBUILD_BUILD_ID={done['id']}" in lines
    assert f"CODEBUILD_LOG_PATH={done['logs']['streamName']}" in lines
    assert not [line for line in lines if line.startswith("PYTEST")]


def test_a_project_may_choose_its_log_group_or_none(codebuild, project, localcloud):
    group = f"/builds/{uuid4().hex[:8]}"
    settings = {"cloudWatchLogs": {"status": "ENABLED", "groupName": group, "streamName": "mine"}}
    done = finished(
        codebuild, codebuild.start_build(projectName=project(buildspec("echo here"), logsConfig=settings))["build"]
    )
    assert (done["logs"]["groupName"], done["logs"]["streamName"].partition("/")[0]) == (group, "mine")
    assert "here" in log_of(localcloud, done)
    silent = {"cloudWatchLogs": {"status": "DISABLED"}}
    done = finished(
        codebuild, codebuild.start_build(projectName=project(buildspec("true"), logsConfig=silent))["build"]
    )
    assert done["buildStatus"] == "SUCCEEDED"
    assert "groupName" not in done["logs"]


def test_artifacts_that_match_nothing_fail_the_build(codebuild, project, bucket):
    spec = buildspec("true", rest="artifacts:\n  files: [nothing.txt]\n")
    name = project(spec, artifacts={"type": "S3", "location": bucket})
    done = finished(codebuild, codebuild.start_build(projectName=name)["build"])
    failed = next(phase for phase in done["phases"] if phase.get("phaseStatus") == "FAILED")
    assert (done["buildStatus"], failed["phaseType"]) == ("FAILED", "UPLOAD_ARTIFACTS")
    assert "no matching artifact paths found" in failed["contexts"][0]["message"]


def test_the_same_idempotency_token_starts_one_build(codebuild, project):
    name, token = project(buildspec("true")), uuid4().hex
    first = codebuild.start_build(projectName=name, idempotencyToken=token)["build"]
    assert codebuild.start_build(projectName=name, idempotencyToken=token)["build"]["id"] == first["id"]
    with pytest.raises(ClientError, match="InvalidInputException"):
        codebuild.start_build(projectName=name, idempotencyToken=token, timeoutInMinutesOverride=5)
    finished(codebuild, first)
    again = codebuild.retry_build(id=first["id"])["build"]
    assert again["buildNumber"] == 2
    finished(codebuild, again)
    assert codebuild.list_builds_for_project(projectName=name)["ids"] == [again["id"], first["id"]]
    assert {again["id"], first["id"]} <= set(codebuild.list_builds()["ids"])


def test_no_more_builds_run_at_once_than_the_project_allows(codebuild, project):
    name = project(buildspec("sleep 20"), concurrentBuildLimit=1)
    first = codebuild.start_build(projectName=name)["build"]
    with pytest.raises(ClientError, match="AccountLimitExceededException"):
        codebuild.start_build(projectName=name)
    codebuild.stop_build(id=first["id"])
    finished(codebuild, first)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"gitCloneDepthOverride": 1}, "gitCloneDepthOverride"),
        ({"sourceTypeOverride": "GITHUB", "sourceLocationOverride": "x/y"}, "GITHUB"),
        ({"cacheOverride": {"type": "LOCAL"}}, "LOCAL"),
        ({"environmentVariablesOverride": [{"name": "A", "value": "b", "type": "PARAMETER_STORE"}]}, "PARAMETER_STORE"),
        ({"environmentTypeOverride": "WINDOWS_CONTAINER"}, "WINDOWS_CONTAINER"),
        ({"artifactsOverride": {"type": "CODEPIPELINE"}}, "CODEPIPELINE"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(codebuild, project, override, named):
    with pytest.raises(ClientError, match=named) as refusal:
        codebuild.start_build(projectName=project(buildspec("true")), **override)
    assert refusal.value.response["Error"]["Code"] == "InvalidInputException"


def test_operations_it_does_not_have_are_refused_by_name(codebuild, project):
    with pytest.raises(ClientError, match="StartBuildBatch"):
        codebuild.start_build_batch(projectName=project(buildspec("true")))


def test_projects_are_created_updated_described_and_deleted(codebuild, project):
    name = project(buildspec("true"), tags=[{"key": "a", "value": "b"}])
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        codebuild.create_project(
            name=name,
            source={"type": "NO_SOURCE", "buildspec": buildspec("true")},
            artifacts={"type": "NO_ARTIFACTS"},
            environment=ENVIRONMENT,
            serviceRole=ROLE,
        )
    codebuild.update_project(name=name, description="later", timeoutInMinutes=7)
    answer = codebuild.batch_get_projects(names=[name, "nobody"])
    (found,) = answer["projects"]
    assert answer["projectsNotFound"] == ["nobody"]
    assert (found["description"], found["timeoutInMinutes"], found["tags"][0]["key"]) == ("later", 7, "a")
    assert found["lastModified"] > found["created"]
    assert found["arn"].endswith(f":project/{name}")
    assert name in codebuild.list_projects()["projects"]
    codebuild.delete_project(name=name)
    codebuild.delete_project(name=name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        codebuild.start_build(projectName=name)


def test_the_builds_of_a_deleted_project_are_still_there(codebuild, project):
    name = project(buildspec("true"))
    build = finished(codebuild, codebuild.start_build(projectName=name)["build"])
    codebuild.delete_project(name=name)
    assert codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]["buildStatus"] == "SUCCEEDED"


def test_state_changes_are_events_on_the_default_bus(codebuild, project, localcloud):
    name = project(buildspec("true"))
    sqs, events = localcloud.client("sqs"), localcloud.client("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.codebuild"], "detail": {"project-name": [name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
    build = codebuild.start_build(projectName=name)["build"]
    seen = {}
    for _ in range(20):
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []):
            event = json.loads(message["Body"])
            seen[event["detail"]["build-status"]] = event
        if len(seen) == 2:
            break
    assert set(seen) == {"IN_PROGRESS", "SUCCEEDED"}
    assert seen["SUCCEEDED"]["detail-type"] == "CodeBuild Build State Change"
    assert seen["SUCCEEDED"]["detail"]["build-id"] == build["arn"]
    assert seen["SUCCEEDED"]["detail"]["additional-information"]["build-complete"] is True
    events.remove_targets(Rule=name, Ids=["q"])
    events.delete_rule(Name=name)


def test_a_buildspec_key_that_is_not_implemented_is_refused_by_name(codebuild, project):
    spec = buildspec("true", rest="batch: {build-list: [{identifier: one}]}\n")
    done = finished(codebuild, codebuild.start_build(projectName=project(spec))["build"])
    context = done["phases"][3]["contexts"][0]
    assert context["statusCode"] == "YAML_FILE_ERROR"
    assert "batch" in context["message"]
    assert done["buildStatus"] == "FAILED"
