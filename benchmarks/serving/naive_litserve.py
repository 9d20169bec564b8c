"""The naive model behind LitServe, one worker: python -m benchmarks.serving.naive_litserve PORT."""

import sys
from typing import Any

import litserve

from .naive import Naive


class Recommendations(litserve.LitAPI):
    """LitServe's three steps around the model."""

    def setup(self, _device: str) -> None:
        self.model = Naive()

    def decode_request(self, request: dict[str, Any], **_: Any) -> tuple[str, int]:
        return str(request["userId"]), int(request["numResults"])

    def predict(self, asked: tuple[str, int], **_: Any) -> Any:
        return self.model.recommend(*asked)

    def encode_response(self, output: Any, **_: Any) -> Any:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Recommendations(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
