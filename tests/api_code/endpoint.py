"""A small endpoint in localcloud that answers what it was asked."""

from tests.localcloud.sagemaker_lab import ROLE, Lab, archive, until

SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", 65536

    def do_GET(self):
        self.answer(200, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request["userId"] == "nobody":
            field = "filter.categories" if request.get("filter") else "userId"
            error = {"code": "ValidationError", "message": "no", "field": field, "requestId": "theirs"}
            return self.answer(422, {"error": error})
        if request["userId"] == "plain":
            return self.answer(500, "oh no")
        inference = self.headers.get("X-Amzn-SageMaker-Inference-Id")
        self.answer(200, {"asked": request, "inferenceId": inference, "strategy": "personalized",
                          "variant": "what the container believes", "recommendationId": "r-" + request["userId"],
                          "itemList": [{"itemId": "m1"}, {"itemId": "m2"}]})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def serve(lab: Lab, name: str, weights: dict[str, float], users: str = "[]", capture: str = "") -> str:
    """An endpoint of this name with these variants, in service; `users` is in its archive as users.json.

    `capture` is the URI below which all it is asked and answers is captured.
    """
    model = {
        "Image": lab.serving_image(SERVER),
        "ModelDataUrl": lab.put(f"{name}/model.tar.gz", archive({"x": "", "users.json": users})),
    }
    lab.sagemaker.create_model(ModelName=name, PrimaryContainer=model, ExecutionRoleArn=ROLE)
    variants = [
        {"VariantName": each, "ModelName": name, "InstanceType": "ml.c6i.large", "InitialInstanceCount": 1,
         "InitialVariantWeight": weight}
        for each, weight in weights.items()
    ]  # fmt: skip
    options = [{"CaptureMode": mode} for mode in ("Input", "Output")]
    given = {"DestinationS3Uri": capture, "InitialSamplingPercentage": 100, "CaptureOptions": options}
    captures = {"DataCaptureConfig": {"EnableCapture": True, **given}} if capture else {}
    lab.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, **captures)
    lab.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    until(lambda: lab.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")
    return name
