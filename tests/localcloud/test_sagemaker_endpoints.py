"""Models, endpoint configurations, endpoints and InvokeEndpoint, driven through boto3."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.endpoint_lab import Host
from tests.localcloud.sagemaker_lab import ROLE, archive, until


@pytest.fixture(scope="module")
def host(localcloud) -> Host:
    host = Host(localcloud)
    yield host
    host.close()


@pytest.fixture(scope="module")
def endpoint(host: Host) -> str:
    """An endpoint that nobody changes."""
    name = host.start(host.config("steady"))
    assert host.settled(name)["EndpointStatus"] == "InService"
    return name


def test_an_endpoint_serves_its_model_from_a_process_of_its_own(host: Host, endpoint: str):
    found = host.sagemaker.describe_endpoint(EndpointName=endpoint)
    variant = found["ProductionVariants"][0]
    assert (variant["VariantName"], variant["CurrentInstanceCount"]) == ("main", 1)
    assert variant["DeployedImages"][0]["ResolvedImage"] == host.image
    answer = host.runtime.invoke_endpoint(
        EndpointName=endpoint,
        Body=b"hello",
        ContentType="text/plain",
        Accept="application/json",
        CustomAttributes="c=1",
    )
    said = json.loads(answer["Body"].read())
    assert (said["model"], said["body"], said["accept"]) == ("steady", "hello", "application/json")
    assert said["run"] == found["EndpointConfigName"]
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "main")
    assert answer["CustomAttributes"] == "c=1"
    until(lambda: "serving steady" in host.log(f"/aws/sagemaker/Endpoints/{endpoint}", "main/"))


def test_what_the_container_refuses_is_a_model_error_with_its_words(host: Host, endpoint: str):
    with pytest.raises(host.runtime.exceptions.ModelError) as refusal:
        host.ask(endpoint, "bad")
    answer = refusal.value.response
    assert answer["OriginalStatusCode"] == 400
    assert json.loads(answer["OriginalMessage"]) == {"error": "bad"}
    assert "Received client error (400) from primary" in answer["Error"]["Message"]


def test_an_unknown_endpoint_is_sagemakers_own_error(host: Host):
    with pytest.raises(ClientError, match=r"Endpoint nobody of account 123456789012 not found\."):
        host.ask("nobody")
    with pytest.raises(ClientError, match="Could not find endpoint"):
        host.sagemaker.describe_endpoint(EndpointName="nobody")


def test_an_update_changes_the_model_and_no_request_fails(host: Host):
    old, new = host.config("old"), host.config("new")
    name = host.start(old)
    host.settled(name)
    with host.asking(name, 4) as seen:
        host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
        assert host.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=old)
        found = host.settled(name)
        until(lambda: host.ask(name)["model"] == "new")
    assert found["EndpointConfigName"] == new
    assert seen <= {"old", "new"}


def test_an_update_that_fails_rolls_back_to_what_served(host: Host):
    read = host.watch(["SageMaker Endpoint State Change"])
    good, bad = host.config("good"), host.config("crashes")
    name = host.start(good)
    host.settled(name)
    host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=bad)
    found = host.settled(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", good)
    assert host.ask(name)["model"] == "good"

    def statuses() -> list[str]:
        return [e["detail"]["EndpointStatus"] for e in read() if e["detail"]["EndpointName"] == name]

    until(lambda: set(statuses()) == {"CREATING", "IN_SERVICE", "UPDATING", "ROLLING_BACK"})
    lines = until(lambda: host.log(f"/aws/sagemaker/Endpoints/{name}", "main/"))
    assert "serving good" in lines or "cannot read this model" in lines


@pytest.mark.parametrize("model", ["crashes", "never"])
def test_an_endpoint_whose_container_is_never_healthy_fails(host: Host, model: str):
    name = host.start(host.config(model, ContainerStartupHealthCheckTimeoutInSeconds=60))
    found = host.settled(name)
    assert found["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in found["FailureReason"]
    with pytest.raises(ClientError, match="not found"):
        host.ask(name)


def test_a_container_that_dies_is_started_again_however_often(host: Host):
    name = host.start(host.config("phoenix"))
    host.settled(name)

    def back() -> bool:
        try:
            return host.ask(name)["model"] == "phoenix"
        except host.runtime.exceptions.ModelError:
            return False

    for _ in range(4):
        with pytest.raises(host.runtime.exceptions.ModelError):
            host.ask(name, "die")
        assert until(back)


def test_a_configuration_in_use_cannot_be_deleted_but_is_free_afterwards(host: Host):
    config = host.config("short")
    name = host.start(config)
    host.settled(name)
    with pytest.raises(ClientError, match="in use by endpoint"):
        host.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    host.endpoints.remove(name)
    host.sagemaker.delete_endpoint(EndpointName=name)
    until(lambda: not host.sagemaker.list_endpoints(NameContains=name)["Endpoints"])
    host.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        host.sagemaker.describe_endpoint_config(EndpointConfigName=config)


def test_a_model_needs_its_image_and_its_archive(host: Host):
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/p/serving@sha256:short"
    with pytest.raises(ClientError, match="Requested image"):
        host.sagemaker.create_model(ModelName=host.name("m"), PrimaryContainer={"Image": image}, ExecutionRoleArn=ROLE)
    container = {"Image": host.image, "ModelDataUrl": f"s3://{host.bucket}/nothing.tar.gz"}
    with pytest.raises(ClientError, match="Could not find model data at"):
        host.sagemaker.create_model(ModelName=host.name("m"), PrimaryContainer=container, ExecutionRoleArn=ROLE)


def test_a_model_of_an_unapproved_package_is_refused(host: Host):
    group, data = host.name("group"), host.put("packaged/model.tar.gz", archive({"name": "packaged"}))
    host.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    inference = {
        "Containers": [{"Image": host.image, "ModelDataUrl": data}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    package = host.sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=inference)
    request = {
        "ModelName": host.name("packaged"),
        "PrimaryContainer": {"ModelPackageName": package["ModelPackageArn"]},
        "ExecutionRoleArn": ROLE,
    }
    with pytest.raises(ClientError, match="unapproved"):
        host.sagemaker.create_model(**request)
    host.sagemaker.update_model_package(ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus="Approved")
    host.sagemaker.create_model(**request)
    found = host.sagemaker.describe_model(ModelName=request["ModelName"])
    assert found["PrimaryContainer"] == request["PrimaryContainer"]


def test_what_localcloud_does_not_do_is_refused_by_name(host: Host, endpoint: str):
    with pytest.raises(ClientError, match="InferenceComponentName") as refusal:
        host.ask(endpoint, InferenceComponentName="part")
    assert refusal.value.response["Error"]["Code"] == "UnsupportedOperation"
    config = host.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "p99"}]}}
    with pytest.raises(ClientError, match="CreateEndpoint with DeploymentConfig"):
        host.sagemaker.create_endpoint(EndpointName="another", EndpointConfigName=config, DeploymentConfig=alarms)
