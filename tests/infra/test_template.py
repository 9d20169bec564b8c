"""Policies of the templates of infra/ that no general rule set covers (docs: SECURITY checklist, by number)."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore import xform_name

from api_code import api
from gitops.delivery import autoscaling, lease
from localcloud.service import CloudError
from pipelines import params

from .conftest import ACCOUNT, PARAMETERS, REGION, ROOT, TEMPLATES, Infra, evaluated

# actions that IAM offers no resource for, and what a key's own policy says about that key
NO_RESOURCE = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "sagemaker:ListModelPackages"}
NO_RESOURCE |= {"application-autoscaling:DescribeScalableTargets"}
TRAINING = {"sagemaker:CreateTrainingJob", "sagemaker:CreateProcessingJob", "sagemaker:StartPipelineExecution"}
SERVICES = {"codebuild.amazonaws.com", "events.amazonaws.com", "lambda.amazonaws.com", "sagemaker.amazonaws.com"}


AROUND = ["ApiRole", "ImageRole", "PrecomputeRole"]


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def may(infra: Infra, role: str, action: str, resource: str) -> bool:
    return any(statement.allows(action, resource) for statement in infra.statements(role))


def test_cfn_lint_has_no_finding():
    line = [str(Path(sys.executable).parent / "cfn-lint"), "--include-checks", "W", "--", *map(str, TEMPLATES)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_the_template_fits_into_one_request(path):
    assert len(path.read_bytes()) <= 51_200


def test_every_name_begins_with_the_project(infra):
    keys = {"Name", "RoleName", "BucketName", "QueueName", "FunctionName", "AlarmName", "ManagedPolicyName"}
    keys |= {"ModelPackageGroupName"}
    found = [item["Properties"][key] for item in infra.resources.values() for key in keys & set(item["Properties"])]
    assert len(found) > 20
    named = [name for name in found if not name.startswith("<")]  # a reference to another that is named
    assert [name for name in named if not name.startswith("film-recommender")] == []


def test_s02_build_definitions_are_fixed_and_take_nothing_from_params(infra):
    projects = {
        name: item["Properties"]["Source"] for name, item in infra.raw["Resources"].items() if "Project" in name
    }
    for source in projects.values():
        spec = source["BuildSpec"]
        assert isinstance(spec, str)  # no function call puts it together
        text = spec if "\n" in spec else (ROOT / spec).read_text()
        commands = [line for phase in yaml.safe_load(text)["phases"].values() for line in phase["commands"]]
        assert commands
        assert "params/" not in "\n".join(commands)
    assert len(projects) == 6


def test_s05_the_notify_role_trusts_one_branch_of_one_project_only(infra):
    trust = json.loads(infra.resources["NotifyRole"]["Properties"]["AssumeRolePolicyDocument"])
    [statement] = trust["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.example.com"}
    good = {
        "gitlab.example.com:aud": "sts.amazonaws.com",
        "gitlab.example.com:sub": "project_path:recsys/film-recommender:ref_type:branch:ref:main",
    }
    assert statement["Condition"] == {"StringEquals": good}  # nothing but exact comparison
    assert not any(mark in value for value in good.values() for mark in "*?")
    assert infra.resources["GitHost"]["Properties"]["ClientIdList"] == ["sts.amazonaws.com"]


@pytest.mark.parametrize(
    "subject",
    [
        "project_path:stranger/film-recommender:ref_type:branch:ref:main",  # a fork, and its own main
        "project_path:recsys/film-recommender:ref_type:branch:ref:feature",
        "project_path:recsys/film-recommender:ref_type:branch:ref:main2",
        "project_path:recsys/film-recommender:ref_type:tag:ref:main",
        "project_path:recsys/film-recommender2:ref_type:branch:ref:main",
    ],
)
def test_f58_no_token_of_a_fork_or_another_branch_gets_the_role(infra, subject):
    """A merge request's job has the ref of its own branch, of the fork where it comes from one."""
    trust = json.loads(infra.resources["NotifyRole"]["Properties"]["AssumeRolePolicyDocument"])
    for statement in trust["Statement"]:
        ((operator, wanted),) = statement["Condition"].items()
        pattern = wanted["gitlab.example.com:sub"]
        assert not (fnmatchcase(subject, pattern) if operator == "StringLike" else subject == pattern)


def test_s05_a_git_host_without_https_gets_no_role_and_no_provider():
    laptop = evaluated(PARAMETERS | {"GitUrl": "http://127.0.0.1:4566/_gitlab"})
    assert not {"GitHost", "NotifyRole"} & set(laptop.resources)


@pytest.mark.parametrize(
    ("name", "value"), [("GitUrl", "https://gitlab.example.com/"), ("ProjectName", "a-" * 20 + "a")]
)
def test_s05_an_address_or_name_that_would_break_another_is_refused(name, value):
    """A slash at the end would be part of the OIDC condition keys; longer names do not fit a bucket or a role."""
    with pytest.raises(CloudError, match=name):
        evaluated(PARAMETERS | {name: value})


def test_the_retrain_build_outlasts_the_longest_wait(infra):
    longest = params.Build.model_json_schema()["properties"]["wait_minutes"]["maximum"]
    assert infra.resources["RetrainProject"]["Properties"]["TimeoutInMinutes"] >= longest + 5


def test_s05_an_account_that_trusts_the_host_already_keeps_its_provider():
    other = evaluated(PARAMETERS | {"CreateOidcProvider": "false"})
    assert "GitHost" not in other.resources
    assert "NotifyRole" in other.resources


def test_s06_there_is_no_user_and_no_access_key(infra):
    assert not {item["Type"] for item in infra.resources.values()} & {"AWS::IAM::User", "AWS::IAM::AccessKey"}
    assert not [path for path in TEMPLATES if "AKIA" in path.read_text()]


@pytest.mark.parametrize(
    "role",
    ["DeployStagingRole", "DeployProductionRole", "ProposeRole", "RegisterRole", "ServingRole", *AROUND],
)
def test_s08_who_deploys_cannot_train(infra, role):
    names = ("training-job/pipelines-x", "processing-job/pipelines-x", "pipeline/film-recommender-ncf")
    assert not [action for action in TRAINING for name in names if may(infra, role, action, arn("sagemaker", name))]


@pytest.mark.parametrize(
    "role", ["RetrainRole", "ExecutionRole", "ProposeRole", "RegisterRole", "ServingRole", "NotifyRole"]
)
def test_s08_who_does_not_deploy_cannot_change_an_endpoint(infra, role):
    endpoint = arn("sagemaker", "endpoint/film-recommender-ncf-production")
    verbs = (
        "CreateEndpoint",
        "UpdateEndpoint",
        "DeleteEndpoint",
        "UpdateEndpointWeightsAndCapacities",
        "InvokeEndpoint",
    )
    assert not [verb for verb in verbs if may(infra, role, f"sagemaker:{verb}", endpoint)]


@pytest.mark.parametrize("role", AROUND)
def test_s08_what_stands_around_an_endpoint_cannot_change_it(infra, role):
    for environment in ("staging", "production"):
        endpoint = arn("sagemaker", f"endpoint/film-recommender-ncf-{environment}")
        verbs = ("CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint", "UpdateEndpointWeightsAndCapacities")
        assert not [verb for verb in verbs if may(infra, role, f"sagemaker:{verb}", endpoint)]


def test_s13_the_api_asks_one_endpoint_and_writes_events_only(infra):
    asked = {item.resources for item in infra.statements("ApiRole") if "sagemaker:InvokeEndpoint" in item.actions}
    assert asked == {(arn("sagemaker", "endpoint/film-recommender-ncf-production"),)}
    stored = {item.resources for item in infra.statements("ApiRole") if "s3:PutObject" in item.actions}
    assert stored == {("arn:aws:s3:::bucket/events/*",)}
    staging = evaluated(PARAMETERS | {"ApiEnvironment": "staging"})
    asked = {item.resources for item in staging.statements("ApiRole") if "sagemaker:InvokeEndpoint" in item.actions}
    assert asked == {(arn("sagemaker", "endpoint/film-recommender-ncf-staging"),)}
    others = {item.owner for item in infra.statements() if "sagemaker:InvokeEndpoint" in item.actions}
    assert others == {"ApiRole", "DeployStagingRole", "DeployProductionRole"}


def test_the_first_notify_is_told_that_there_is_no_head_yet(infra):
    """S3 answers 404 only to who may list; a read carries no s3:prefix, so a condition on it means 403."""
    [listing] = [found for found in infra.statements("NotifyRole") if "s3:ListBucket" in found.actions]
    assert listing.condition == {}


@pytest.mark.parametrize("role", ["RetrainRole", "DeployStagingRole", "DeployProductionRole"])
def test_a_build_may_read_its_source_by_version(infra, role):
    """CodeBuild resolves an S3 source to a version of the object and fetches that one."""
    assert may(infra, role, "s3:GetObjectVersion", "arn:aws:s3:::bucket/source/abc.zip")


def test_s08_the_build_starts_the_pipeline_and_no_job(infra):
    assert may(
        infra, "RetrainRole", "sagemaker:StartPipelineExecution", arn("sagemaker", "pipeline/film-recommender-ncf")
    )
    assert not may(infra, "RetrainRole", "sagemaker:CreateTrainingJob", arn("sagemaker", "training-job/pipelines-x"))
    assert not may(infra, "RetrainRole", "sagemaker:UpdatePipeline", arn("sagemaker", "pipeline/another-ncf"))


CALLS = {
    "RetrainRole": ["pipelines/*.py"],
    "DeployProductionRole": ["gitops/delivery/*.py"],
    "ProposeRole": ["gitops/promotion/candidate.py", "gitops/oncall/run_report.py"],
    "RegisterRole": ["infra/functions/register.py"],
    "ApiRole": ["api_code/recommendations.py", "api_code/variants.py"],
    "PrecomputeRole": ["api_code/precompute.py"],
}
OPERATIONS = {
    xform_name(name): name
    for service in ("sagemaker", "sagemaker-runtime")
    for name in boto3.client(service, REGION).meta.service_model.operation_names
}


@pytest.mark.parametrize("role", CALLS)
def test_every_sagemaker_call_of_a_build_or_function_is_allowed_to_its_role(infra, role):
    text = "".join(path.read_text() for pattern in CALLS[role] for path in sorted(ROOT.glob(pattern)))
    named = set(re.findall(r"\.([a-z]+_[a-z_]+)\(", text)) | set(re.findall(r'get_paginator\("([a-z_]+)"\)', text))
    called = {f"sagemaker:{OPERATIONS[name]}" for name in named & set(OPERATIONS)}
    allowed = {action for item in infra.statements(role) for action in item.actions}
    assert called
    assert called <= allowed


def test_s08_only_production_approves(infra):
    package = arn("sagemaker", "model-package/film-recommender-ncf/1")
    able = {item.owner for item in infra.statements() if item.allows("sagemaker:UpdateModelPackage", package)}
    assert able == {"DeployProductionRole"}


def test_s09_a_role_is_passed_by_its_arn_to_one_service(infra):
    passing = [item for item in infra.statements() if item.allows("iam:PassRole", item.resources[0])]
    assert {item.owner for item in passing} == {
        "RetrainRole",
        "ExecutionRole",
        "DeployStagingRole",
        "DeployProductionRole",
    }
    for item in passing:
        assert item.actions == ("iam:PassRole",)
        assert len(item.resources) == 1
        assert "*" not in item.resources[0]
        assert item.condition == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_s10_a_service_may_act_for_this_account_only(infra):
    for name, role in infra.of_type("AWS::IAM::Role").items():
        if name == "NotifyRole":
            continue
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        assert set(statement["Principal"]) == {"Service"}
        assert statement["Principal"]["Service"] in SERVICES
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
        if statement["Principal"] != {
            "Service": "lambda.amazonaws.com"
        }:  # which sends no source ARN for a new function
            [comparison] = set(statement["Condition"]) - {"StringEquals"}
            source = statement["Condition"][comparison]["aws:SourceArn"]
            assert source.startswith(f"arn:aws:{statement['Principal']['Service'].split('.')[0]}:{REGION}:{ACCOUNT}:")


def test_s10_each_queue_takes_events_of_the_rules_that_name_it_only(infra):
    rules = infra.of_type("AWS::Events::Rule")
    for name in ("DeadLetters", "ServingDeadLetters", "RefreshDeadLetters"):
        statements = infra.resources[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
        [allowed] = [item for item in statements if item["Effect"] == "Allow"]
        assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
        buried = {f"<{rule}.Arn>" for rule, item in rules.items() if dead_letters(item) == f"<{name}.Arn>"}
        assert set(allowed["Condition"]["ArnEquals"]["aws:SourceArn"]) == buried


def dead_letters(rule: dict[str, Any]) -> str:
    [target] = rule["Targets"]
    return target["DeadLetterConfig"]["Arn"]


def test_s10_a_function_takes_calls_of_one_route_or_rule_each(infra):
    permissions = infra.of_type("AWS::Lambda::Permission")
    assert {item["Action"] for item in permissions.values()} == {"lambda:InvokeFunction"}
    sources = sorted((item["Principal"], item["FunctionName"], item["SourceArn"]) for item in permissions.values())
    api = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:<Api>/*"
    assert sources == [
        ("apigateway.amazonaws.com", "<ApiFunction>", f"{api}/GET/recommendations/{{userId}}"),
        ("apigateway.amazonaws.com", "<ApiFunction>", f"{api}/POST/events"),
        ("events.amazonaws.com", "<PrecomputeFunction>", "<PrecomputeRule.Arn>"),
        *(
            ("events.amazonaws.com", "<StartFunction>", f"<{rule}Rule.Arn>")
            for rule in ("Manifest", "Refresh", "RepairProduction", "RepairStaging")
        ),
    ]


def test_every_route_of_the_api_needs_a_signature_and_its_stage_has_limits(infra):
    routes = infra.of_type("AWS::ApiGatewayV2::Route")
    assert {item["RouteKey"] for item in routes.values()} == set(api.ROUTES)
    assert {item["AuthorizationType"] for item in routes.values()} == {"AWS_IAM"}
    [stage] = infra.of_type("AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0


def test_s17_the_access_log_names_no_path_and_no_query(infra):
    [stage] = infra.of_type("AWS::ApiGatewayV2::Stage").values()
    variables = set(re.findall(r"\$context\.([A-Za-z.]+)", stage["AccessLogSettings"]["Format"]))
    assert variables <= {
        "requestId", "requestTime", "routeKey", "status", "responseLatency", "responseLength",
        "integrationErrorMessage",
    }  # fmt: skip


def test_s22_each_environments_endpoint_is_watched(infra):
    watched = {
        (item["Dimensions"][0]["Value"], item["MetricName"], item["TreatMissingData"])
        for item in infra.of_type("AWS::CloudWatch::Alarm").values()
        if item["Namespace"] == "AWS/SageMaker"
    }
    assert watched == {
        (f"film-recommender-ncf-{environment}", metric, missing)
        for environment in ("staging", "production")
        for metric, missing in {
            "Invocation4XXErrors": "notBreaching", "Invocation5XXErrors": "notBreaching",
            "ModelLatency": "notBreaching", "Invocations": "breaching",
        }.items()
    }  # fmt: skip


def test_a_function_that_fails_raises_an_alarm(infra):
    watched = {
        item["Dimensions"][0]["Value"]
        for item in infra.of_type("AWS::CloudWatch::Alarm").values()
        if (item["Namespace"], item["MetricName"]) == ("AWS/Lambda", "Errors")
    }
    assert watched == {
        "<ApiFunction>",
        "<PrecomputeFunction>",
        "<StartFunction>",
    }  # who calls the register function sees it fail


def test_s11_no_action_is_a_wildcard_and_no_resource_is_everything(infra):
    for item in infra.statements():
        assert not [action for action in item.actions if "*" in action]
        everything = [resource for resource in item.resources if resource in {"*", "arn:aws:s3:::*"}]
        if everything:
            assert set(item.actions) <= NO_RESOURCE, item
        if "cloudwatch:PutMetricData" in item.actions:
            notifies = item.owner == "NotifyRole"  # counts the pushes it ignores
            own = {"StringEquals": {"cloudwatch:namespace": "film-recommender"}}
            assert item.condition == (own if notifies else {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}})


def test_s13_each_environments_build_reaches_its_own_endpoints_only(infra):
    for environment, other in (("staging", "production"), ("production", "staging")):
        role = f"Deploy{environment.title()}Role"
        own, foreign = (arn("sagemaker", f"endpoint/film-recommender-ncf-{name}") for name in (environment, other))
        weights = "UpdateEndpointWeightsAndCapacities"
        for verb in ("CreateEndpoint", "UpdateEndpoint", weights, "InvokeEndpoint", "DeleteEndpoint", "AddTags"):
            assert may(infra, role, f"sagemaker:{verb}", own)
            assert not may(infra, role, f"sagemaker:{verb}", foreign)
            assert not may(infra, role, f"sagemaker:{verb}", arn("sagemaker", f"endpoint/another-ncf-{environment}"))
        config = arn("sagemaker", "endpoint-config/film-recommender-ncf-x")
        assert may(infra, role, "sagemaker:UpdateEndpoint", config)
        assert not may(infra, role, "sagemaker:InvokeEndpoint", config)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_s13_a_deploy_build_holds_the_leases_of_its_own_environment_only(infra, environment):
    role, other = f"Deploy{environment.title()}Role", {"staging": "production", "production": "staging"}[environment]
    for action in ("s3:GetObject", "s3:PutObject"):
        assert may(infra, role, action, f"arn:aws:s3:::bucket/{lease.PREFIX}/film-recommender-ncf-{environment}.json")
        assert not may(infra, role, action, f"arn:aws:s3:::bucket/{lease.PREFIX}/film-recommender-ncf-{other}.json")


def test_a_deploy_build_may_make_the_calls_of_autoscaling_and_no_others(infra):
    text = (ROOT / "gitops/delivery/autoscaling.py").read_text()
    known = set(boto3.client(autoscaling.SERVICE, REGION).meta.service_model.operation_names)
    called = {f"{autoscaling.SERVICE}:{name}" for name in known if re.search(rf"\b{xform_name(name)}\b", text)}
    for role in ("DeployStagingRole", "DeployProductionRole"):
        allowed = {action for item in infra.statements(role) for action in item.actions}
        assert {action for action in allowed if action.startswith(autoscaling.SERVICE)} == called
        other = arn("application-autoscaling", "another/x")
        assert not may(infra, role, f"{autoscaling.SERVICE}:RegisterScalableTarget", other)


def test_s14_the_bucket_is_closed_encrypted_and_versioned(infra):
    bucket = infra.resources["Bucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "<Key.Arn>"}
    assert [rule["Prefix"] for rule in bucket["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule] == [
        "tmp/"
    ]
    policy = infra.resources["BucketPolicy"]["Properties"]["PolicyDocument"]
    assert [(item["Effect"], item["Principal"], item["Action"], item["Condition"]) for item in policy["Statement"]] == [
        ("Deny", "*", "s3:*", {"Bool": {"aws:SecureTransport": "false"}})
    ]


def test_s16_the_key_rotates_and_names_its_principals(infra):
    key = infra.resources["Key"]["Properties"]
    assert key["EnableKeyRotation"] is True
    for statement in key["KeyPolicy"]["Statement"]:
        assert "*" not in json.dumps(statement["Principal"])
        assert not [action for action in statement["Action"] if "*" in action]


@pytest.mark.parametrize("image", ["serving:latest", "serving@sha256:abc", "serving@sha256:" + "0" * 65, "serving"])
def test_s20_the_serving_image_is_named_by_digest(image):
    with pytest.raises(CloudError, match="by digest"):
        evaluated(PARAMETERS | {"ServingImage": image})


def test_s23_builds_are_unprivileged_bounded_and_logged_encrypted(infra):
    projects, logs = infra.of_type("AWS::CodeBuild::Project"), infra.of_type("AWS::Logs::LogGroup")
    assert len(projects) == 6
    for name, project in projects.items():
        assert project["Environment"]["PrivilegedMode"] is (name == "ImageProject")  # docker build
        assert 0 < project["TimeoutInMinutes"] <= 75
        assert project["QueuedTimeoutInMinutes"] <= 60
        assert project["ConcurrentBuildLimit"] in {1, 2}
        assert project["EncryptionKey"] == "<Key.Arn>"
        group = project["LogsConfig"]["CloudWatchLogs"]["GroupName"].strip("<>")
        assert logs[group]["LogGroupName"] == f"/aws/codebuild/{project['Name']}"
    assert {group["KmsKeyId"] for group in logs.values()} == {"<Key.Arn>"}
    assert all(group["RetentionInDays"] for group in logs.values())


def test_s23_one_deployment_of_an_environment_at_a_time(infra):
    limits = {item["Name"]: item["ConcurrentBuildLimit"] for item in infra.of_type("AWS::CodeBuild::Project").values()}
    assert limits["film-recommender-deploy-staging"] == limits["film-recommender-deploy-production"] == 1


def test_s23_tokens_come_from_the_secret_store_only(infra):
    for name, project in infra.of_type("AWS::CodeBuild::Project").items():
        for variable in project["Environment"]["EnvironmentVariables"]:
            if re.search("TOKEN|SECRET|PASSWORD|KEY", variable["Name"]):
                assert variable["Type"] == "SECRETS_MANAGER"
                assert variable["Value"].startswith("arn:aws:secretsmanager:")
        tokens = [
            item["Value"] for item in project["Environment"]["EnvironmentVariables"] if item["Name"] == "GIT_TOKEN"
        ]
        bot = [PARAMETERS["GitTokenSecretArn"]]
        wanted = {"RetrainProject": [], "ProposeProject": bot, "ImageProject": bot, "DataProject": bot}
        assert tokens == wanted.get(name, [PARAMETERS["GitReadTokenSecretArn"]])


def test_f06_s24_every_target_has_a_dead_letter_queue_retries_and_a_role_of_its_own(infra):
    rules, roles = infra.of_type("AWS::Events::Rule"), set()
    for name, rule in rules.items():
        [target] = rule["Targets"]
        assert dead_letters(rule) in {"<DeadLetters.Arn>", "<ServingDeadLetters.Arn>", "<RefreshDeadLetters.Arn>"}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 86_400
        if target["Arn"] in {"<PrecomputeFunction.Arn>", "<StartFunction.Arn>"}:  # its own policy lets the rule in
            assert "RoleArn" not in target
            continue
        role = target["RoleArn"].strip("<>").split(".")[0]
        [statement] = infra.statements(role)
        assert statement.actions == ("codebuild:StartBuild",)
        assert statement.resources == (target["Arn"],)
        trust = infra.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
        bus = "" if name == "ProposeRule" else "film-recommender/"
        assert trust["ArnEquals"]["aws:SourceArn"] == arn("events", f"rule/{bus}{rule['Name']}")
        roles.add(role)
    assert len(roles) == 5


def patterned(infra: Infra) -> list[dict[str, Any]]:
    """The rules that wait for events; the others have a schedule."""
    return [rule for rule in infra.of_type("AWS::Events::Rule").values() if "EventPattern" in rule]


def test_the_transformers_make_text_that_is_json_whatever_the_event_says(infra):
    for rule in patterned(infra):
        if rule["Name"] == "film-recommender-manifest":  # the function gets the event whole
            continue
        transformer = rule["Targets"][0]["InputTransformer"]
        template = transformer["InputTemplate"]
        placeholders = set(re.findall(r"<(\w+)>", template)) - {"Bucket"}
        assert placeholders == set(transformer["InputPathsMap"])
        assert set(transformer["InputPathsMap"].values()) <= {
            "$.detail.sha",
            "$.detail.sequence",
            "$.detail.pipelineExecutionArn",
        }  # no file name ever leaves the rule
        started = json.loads(re.sub(r"<\w+>", "x", template))
        assert set(started) <= {"sourceLocationOverride", "environmentVariablesOverride"}
        for path in placeholders:  # inside quotes, each of them
            assert f"<{path}>" in "".join(re.findall(r'"[^"]*"', template))


def test_s25_what_a_rule_compares_is_exact_but_for_the_files_of_a_folder(infra):
    for rule in patterned(infra):
        pattern: dict[str, Any] = rule["EventPattern"]
        detail = dict(pattern["detail"])
        for file in detail.pop("changedFiles", []):
            if isinstance(file, dict):
                assert re.fullmatch(r"[a-z_/]+/\*", file["wildcard"])
        exact = [
            *pattern["source"],
            *pattern["detail-type"],
            *(value for values in detail.values() for value in values),
        ]
        assert all(isinstance(value, str) and "*" not in value for value in exact)
