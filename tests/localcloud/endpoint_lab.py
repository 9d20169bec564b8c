"""Endpoints of a tiny serving container, and short requests to them: what the endpoint tests share."""

import concurrent.futures
import contextlib
import datetime
import json
import threading
from collections.abc import Iterator
from typing import Any

from tests.localcloud.sagemaker_lab import ROLE, Lab, archive, until

SERVER = """
import http.server, json, os, sys, time
assert sys.argv[1:] == ["serve"], sys.argv
model = open(os.environ["SAGEMAKER_BASE_DIR"] + "/model/name").read()
if model == "crashes":
    sys.exit("cannot read this model")
if model == "once":  # only the first process of this model ever serves
    os.mkdir(os.environ["HOME"] + "/" + os.environ["RUN_ID"])

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # else a header and its body wait 40 ms for each other

    def do_GET(self):
        self.answer(503 if model == "never" else 200, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"die" or model == "dies":
            os._exit(3)
        if model == "hangs":
            time.sleep(600)
        if model == "sluggish":
            time.sleep(0.2)
        if body == b"bad":
            return self.answer(400, b'{"error": "bad"}')
        if body == b"boom" or model == "fails":
            return self.answer(500, b"{}")
        said = {"model": model, "run": os.environ["RUN_ID"], "body": body.decode(), "accept": self.headers["Accept"]}
        if body == b"slow":
            time.sleep(0.5)
        said |= {"pid": os.getpid(), "variant": self.headers["X-Amzn-SageMaker-Target-Variant"]}
        said |= ({"names": list(os.environ)} if body == b"environment" else {})
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
http.server.ThreadingHTTPServer.request_queue_size = 128  # of the 5 that it has, many at once are reset
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


MULTI_SERVER = """
import http.server, json, os, sys, threading, time
assert os.environ["SAGEMAKER_MULTI_MODEL"] == "true"
assert not os.listdir(os.environ["SAGEMAKER_BASE_DIR"] + "/model")
models, loads, lock = {}, {}, threading.Lock()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        name = self.path.removeprefix("/models/")
        self.answer(200 if self.path == "/ping" or name in models else 404)

    def do_DELETE(self):
        self.answer(200 if models.pop(self.path.removeprefix("/models/"), None) else 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/models":
            return self.load(**json.loads(body))
        name = self.path.split("/")[2]
        if name not in models:
            return self.answer(404)
        if body == b"die":
            os._exit(3)
        if body == b"forget":  # as a container does that makes room by itself
            del models[name]
            return self.answer(404)
        said = models[name]
        if body == b"missing":
            return self.answer(404, {"error": "no such user"})
        if body == b"slow":
            time.sleep(0.3)
        target = self.headers["X-Amzn-SageMaker-Target-Model"]
        self.answer(200, {"model": said, "target": target, "loads": loads[said], "loaded": len(models)})

    def load(self, model_name, url):
        said = open(url + "/name").read()
        with lock:
            if model_name in models:
                return self.answer(409)
            if said == "broken":
                return self.answer(400, {"error": "cannot read this model"})
            if len(models) >= int(os.environ.get("ROOM", "100")):
                return self.answer(507)
            models[model_name] = said
            loads[said] = loads.get(said, 0) + 1
        time.sleep(0.05)
        self.answer(200)

    def answer(self, status, said=None):
        body = json.dumps(said or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer.request_queue_size = 128  # of the 5 that it has, many at once are reset
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


class Host(Lab):
    """A lab with endpoints of its own; `close` deletes them."""

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud)
        self.image = self.serving_image(SERVER)
        self.runtime = cloud.client("sagemaker-runtime")
        self.endpoints: list[str] = []

    def model(self, says: str) -> str:
        """A model whose archive has this name in it; its own name is its RUN_ID."""
        name = self.name(says)
        data = self.put(f"archives/{name}/model.tar.gz", archive({"name": says}))
        container = {"Image": self.image, "ModelDataUrl": data, "Environment": {"RUN_ID": name}}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        return name

    def variant(self, model: str, name: str = "main", weight: float = 1, **more: Any) -> dict[str, Any]:
        """One row of ProductionVariants."""
        row = {"VariantName": name, "ModelName": model, "InstanceType": "ml.c6i.large", "InitialInstanceCount": 1}
        return {**row, "InitialVariantWeight": weight, **more}

    def config(self, says: str, **variant: Any) -> str:
        """A configuration of one variant that serves an archive with this name in it."""
        model = self.model(says)
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=model, ProductionVariants=[self.variant(model, **variant)]
        )
        return model

    def start(self, config: str) -> str:
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.endpoints.append(name)
        return name

    def serve(self, variants: list[dict[str, Any]], **config: Any) -> str:
        """The name of an endpoint in service with these variants."""
        name = self.name("config")
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, **config)
        endpoint = self.start(name)
        assert self.settled(endpoint)["EndpointStatus"] == "InService"
        return endpoint

    def settled(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.sagemaker.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] in ("InService", "Failed", "UpdateRollbackFailed") else None

        return until(look)

    def ask(self, name: str, body: str = "{}", **more: Any) -> dict[str, Any]:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body.encode(), **more)
        return json.loads(answer["Body"].read())

    @contextlib.contextmanager
    def asking(self, name: str, threads: int = 2, body: str = "{}") -> Iterator[set[str]]:
        """Others ask all the time, and each of their requests must be answered; the models they have seen."""
        over, models = threading.Event(), set[str]()

        def ask_on() -> None:
            while not over.is_set():
                models.add(self.ask(name, body)["model"])

        with concurrent.futures.ThreadPoolExecutor() as pool:
            asking = [pool.submit(ask_on) for _ in range(threads)]
            try:
                yield models
            finally:
                over.set()
        for each in asking:
            each.result()

    def metric(self, endpoint: str, variant: str, name: str, statistic: str) -> float | None:
        """A statistic of one of an endpoint's metrics over the last minutes; None while there is none."""
        now = datetime.datetime.now(datetime.UTC)
        found = self.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
            StartTime=now - datetime.timedelta(minutes=10),
            EndTime=now + datetime.timedelta(minutes=1),
            Period=3600,
            Statistics=[statistic],
        )["Datapoints"]
        return found[0][statistic] if found else None

    def close(self) -> None:
        for name in self.endpoints:
            self.settled(name)
            self.sagemaker.delete_endpoint(EndpointName=name)
