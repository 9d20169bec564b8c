"""What boto3 meets on a bad day, put between a real client and a real localcloud by botocore's `before-send` hook."""

import time

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

SHORT_PAUSES = 5648661  # seeds botocore's jitter so that seven of its pauses are 2.9 seconds together, not forty


class Raw:
    """The body of a faked answer, as urllib3 would hand it over."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, *_args, **_keywords):
        yield self.body

    def read(self, *_):
        body, self.body = self.body, b""
        return body


class Weather:
    """Answers the first `count` requests of a client by itself, status 0 with silence; counts all of them.

    The body is XML, or JSON if it begins like it.
    """

    def __init__(self, client, status: int, body: str = "", count: int = 1000) -> None:
        self.status, self.body, self.left = status, body.encode(), count
        self.headers = {"Content-Type": "application/json" if body.startswith("{") else "application/xml"}
        self.times: list[float] = []
        client.meta.events.register("before-send", self.send)

    def send(self, request, **_):
        self.times.append(time.monotonic())
        self.left -= 1
        if self.left < 0:
            return None
        if not self.status:
            raise ReadTimeoutError(endpoint_url=request.url)
        return AWSResponse(request.url, self.status, self.headers, Raw(self.body))


def xml(code: str, message: str = "no") -> str:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
