"""The git host's one door, a WSGI application below /_gitlab."""

import json
import math
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from werkzeug.wrappers import Request, Response

from ..cloud import Cloud
from ..service import CloudError
from .accounts import Accounts, User
from .call import Answer, Call
from .project import Project
from .repository import Repository
from .routes import find
from .smart_http import serve

PREFIX = "/_gitlab"
_API = f"{PREFIX}/api/v4"
_PER_PAGE = 20


class GitHost:
    """Projects are the bare repositories `<root>/<group>/<project>.git`, also those made while it runs."""

    def __init__(self, cloud: Cloud, root: Path, tokens: Mapping[str, str]) -> None:
        self._cloud = cloud
        self._root = root
        self._accounts = Accounts(tokens)
        self._projects: dict[str, Project] = {}
        self._lock = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request of git or of the REST API; every one needs a token."""
        request = Request(environ, populate_request=False)
        try:
            user = self._accounts.of(request)
            if ".git/" in request.path and not request.path.startswith(f"{_API}/"):
                name = request.path.removeprefix(f"{PREFIX}/").partition(".git/")[0]
                return serve(request, user, self._project(name), start_response)
            response = self._api(request, user)
        except CloudError as error:
            response = _json({"message": error.message}, error.status)
            if error.status == 401 and not request.path.startswith(_API):
                response.headers["WWW-Authenticate"] = 'Basic realm="localcloud"'
        except Exception:  # noqa: BLE001 a fault of ours: the client gets a 500, the log the traceback
            print(f"git host:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            response = _json({"message": "500 Internal Server Error; see localcloud.log"}, 500)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _api(self, request: Request, user: User) -> Response:
        raw = str(request.environ.get("RAW_URI", request.path)).split("?", 1)[0]
        path = raw.removeprefix(_API).rstrip("/")
        if (request.method, path) == ("GET", "/user"):
            return _json({**user.shown(), "email": user.email})
        if (request.method, path) == ("GET", "/version"):
            return _json({"version": "17.0.0-localcloud", "revision": "localcloud"})
        if (request.method, path) == ("GET", "/projects"):
            return _page(request, [self._project(name).shown() for name in self._names()])
        head, _, rest = path.removeprefix("/projects/").partition("/")
        found = find(request.method, f"/{rest}" if rest else "") if path.startswith("/projects/") else None
        if found is None:
            text = f"404 Not Found: localcloud does not implement {request.method} {path}"
            raise CloudError("NotFound", text, 404)
        handler, names = found
        decoded = {name: unquote(value) for name, value in names.items()}
        result = handler(Call(request, user, self._project(unquote(head)), decoded, _given(request)))
        if isinstance(result, Answer):
            return _answered(result)
        return _page(request, result) if isinstance(result, list) else _json(result)

    def _names(self) -> list[str]:
        return sorted(str(path.relative_to(self._root))[: -len(".git")] for path in self._root.glob("*/*.git"))

    def _project(self, name: str) -> Project:
        """By path or by number; CloudError 404 if there is no such repository."""
        with self._lock:
            if name.isdigit():
                name = next((project.name for project in self._projects.values() if project.id == int(name)), "")
            if name not in self._names():
                raise CloudError("NotFound", "404 Project Not Found", 404)
            if name not in self._projects:
                repository = Repository(self._root / f"{name}.git", self._cloud.processes, self._environment())
                url = f"{self._cloud.endpoint}{PREFIX}/{name}"
                self._projects[name] = Project(len(self._projects) + 1, name, url, repository)
            return self._projects[name]

    def _environment(self) -> dict[str, str]:
        return {**self._cloud.environment(), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}


def _given(request: Request) -> dict[str, Any]:
    """Query string and body together: python-gitlab uses either."""
    given: dict[str, Any] = dict(request.args.items())
    if request.mimetype != "application/json":
        return {**given, **request.form.to_dict()}
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise CloudError("BadRequest", f"the body is not JSON: {error}", 400) from error
    if not isinstance(body, dict):
        raise CloudError("BadRequest", "the body is not a JSON object", 400)
    return {**given, **body}


def _answered(answer: Answer) -> Response:
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, content_type="application/octet-stream")
    return Response(status=204) if answer.body is None else _json(answer.body, answer.status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def _page(request: Request, items: list[Any]) -> Response:
    """One page of a list, with the headers clients walk on by."""
    page = max(1, request.args.get("page", 1, type=int))
    size = min(100, max(1, request.args.get("per_page", _PER_PAGE, type=int)))
    pages = max(1, math.ceil(len(items) / size))
    response = _json(items[(page - 1) * size : page * size])
    following = str(page + 1) if page < pages else ""
    numbers = {"Page": page, "Per-Page": size, "Total": len(items), "Total-Pages": pages, "Next-Page": following}
    response.headers.update({f"X-{name}": str(number) for name, number in numbers.items()})
    if following:
        query = urlencode({**request.args.to_dict(), "page": following, "per_page": size})
        response.headers["Link"] = f'<{request.base_url}?{query}>; rel="next"'
    return response
