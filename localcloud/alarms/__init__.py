"""CloudWatch's alarms, stored by moto and evaluated here."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request

from ..front import Application, operation_of
from .watch import Watch

if TYPE_CHECKING:
    from ..cloud import Cloud


class Watched:
    """moto's CloudWatch; its alarms are looked at from the moment when there is one."""

    def __init__(self, cloud: "Cloud", application: Application) -> None:
        self._cloud = cloud
        self._application = application
        self._watching = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if (
            not self._watching
            and operation_of("cloudwatch", Request(environ, populate_request=False))[0] == "PutMetricAlarm"
        ):
            self._watching = True
            self._cloud.spawn(Watch(self._cloud).run, "alarms")
        environ["wsgi.input"].seek(0)
        return self._application(environ, start_response)
