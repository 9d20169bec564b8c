"""Models, endpoint configurations, endpoints and InvokeEndpoint, driven through boto3."""

import concurrent.futures
import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker_lab import ROLE, Lab, archive, until

SERVER = """
import http.server, json, os, sys
assert sys.argv[1:] == ["serve"], sys.argv
model = open(os.environ["SAGEMAKER_BASE_DIR"] + "/model/name").read()
if model == "crashes":
    sys.exit("cannot read this model")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(503 if model == "never" else 200, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"die":
            os._exit(3)
        if body == b"bad":
            return self.answer(400, b'{"error": "bad"}')
        said = {"model": model, "run": os.environ["RUN_ID"], "body": body.decode(), "accept": self.headers["Accept"]}
        self.answer(200, json.dumps(said).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if "X-Amzn-SageMaker-Custom-Attributes" in self.headers:
            echo = self.headers["X-Amzn-SageMaker-Custom-Attributes"]
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", echo)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        print("request", *words)

print("serving", model)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


class Host(Lab):
    """A lab with endpoints of its own; `close` deletes them."""

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud)
        self.image = self.serving_image(SERVER)
        self.runtime = cloud.client("sagemaker-runtime")
        self.endpoints: list[str] = []

    def config(self, model: str, **variant: Any) -> str:
        """A configuration of one variant that serves an archive with this name in it."""
        name = self.name(model)
        data = self.put(f"archives/{name}/model.tar.gz", archive({"name": model}))
        container = {"Image": self.image, "ModelDataUrl": data, "Environment": {"RUN_ID": name}}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        row = {"VariantName": "main", "ModelName": name, "InstanceType": "ml.c6i.large", "InitialInstanceCount": 1}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{**row, **variant}])
        return name

    def start(self, config: str) -> str:
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.endpoints.append(name)
        return name

    def settled(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.sagemaker.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] in ("InService", "Failed") else None

        return until(look)

    def ask(self, name: str, body: str = "{}", **more: Any) -> dict[str, Any]:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body.encode(), **more)
        return json.loads(answer["Body"].read())

    def close(self) -> None:
        for name in self.endpoints:
            self.settled(name)
            self.sagemaker.delete_endpoint(EndpointName=name)


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
    over = threading.Event()

    def ask_on() -> set[str]:
        models = set()
        while not over.is_set():
            models.add(host.ask(name)["model"])
        return models

    with concurrent.futures.ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask_on) for _ in range(4)]
        host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
        assert host.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=old)
        found = host.settled(name)
        until(lambda: host.ask(name)["model"] == "new")
        over.set()
        seen = set.union(*(each.result() for each in asking))
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


def test_a_container_that_dies_is_started_again(host: Host):
    name = host.start(host.config("phoenix"))
    host.settled(name)
    with pytest.raises(host.runtime.exceptions.ModelError):
        host.ask(name, "die")

    def back() -> bool:
        try:
            return host.ask(name)["model"] == "phoenix"
        except host.runtime.exceptions.ModelError:
            return False

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


def test_a_variant_can_have_several_processes_and_be_asked_for_by_name(host: Host):
    name = host.start(host.config("many", InitialInstanceCount=2))
    assert host.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert host.ask(name, TargetVariant="main")["model"] == "many"
    with pytest.raises(ClientError, match="Variant other"):
        host.ask(name, TargetVariant="other")


def test_traffic_is_shared_by_the_weights_of_the_variants(host: Host):
    rows = []
    for name, weight in (("most", 3.0), ("some", 1.0), ("none", 0.0)):
        described = host.sagemaker.describe_endpoint_config(EndpointConfigName=host.config(name))
        rows.append({**described["ProductionVariants"][0], "VariantName": name, "InitialVariantWeight": weight})
    config = host.name("weighted")
    host.sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=rows)
    endpoint = host.start(config)
    assert host.settled(endpoint)["EndpointStatus"] == "InService"
    answers = [host.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x") for _ in range(200)]
    served = [answer["InvokedProductionVariant"] for answer in answers]
    assert all(json.loads(answer["Body"].read())["model"] == answer["InvokedProductionVariant"] for answer in answers)
    assert 110 <= served.count("most") <= 190  # 150 of 200 expected; outside by chance less than once in a million
    assert served.count("none") == 0


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
    with pytest.raises(ClientError, match="UpdateEndpointWeightsAndCapacities") as refusal:
        host.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredWeight": 1}]
        )
    assert refusal.value.response["Error"]["Code"] == "UnsupportedOperation"
    config = host.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "p99"}]}}
    with pytest.raises(ClientError, match="DeploymentConfig"):
        host.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=alarms)
