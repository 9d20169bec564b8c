"""git's own protocol over HTTP: `git http-backend`, after the token is checked."""

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from werkzeug.wrappers import Request

from ..processes import Processes
from ..service import CloudError
from .accounts import MAINTAINER, User
from .project import Project

_CHUNK = 65536


def serve(request: Request, user: User, project: Project, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Clone, fetch or push. A push to the protected branch by anyone but a maintainer is refused."""
    if request.path.endswith("/git-receive-pack"):
        _check_push(request, user, project)
    process = _start(request, user, project)
    status, headers = _headers(process)
    start_response(status, headers)
    return _stream(process, project.repository.processes)


def _check_push(request: Request, user: User, project: Project) -> None:
    protected = f"refs/heads/{project.repository.default_branch}"
    if user.access_level < MAINTAINER and protected in _pushed(request.environ["wsgi.input"]):
        text = f"{user.username} is not allowed to push to {protected}: open a merge request"
        raise CloudError("Forbidden", text, 403)


def _pushed(body: Any) -> list[str]:
    """The refs a push wants to change: the first lines of its body, each with its length in front."""
    refs = []
    while True:
        head = body.read(4)
        size = int(head, 16) if len(head) == 4 else 0
        if size <= 4:
            break
        words = body.read(size - 4).split(b"\x00")[0].split()
        refs.append(words[-1].decode(errors="replace") if words else "")
    body.seek(0)
    return refs


def _start(request: Request, user: User, project: Project) -> "subprocess.Popen[bytes]":
    repository, environ = project.repository, request.environ
    path = request.path.partition(".git/")[2]
    gateway = {
        "GIT_PROJECT_ROOT": str(repository.path),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "PATH_INFO": f"/{path}",
        "REMOTE_USER": user.username,
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": environ.get("QUERY_STRING", ""),
        "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": environ.get("CONTENT_LENGTH", ""),
        "HTTP_CONTENT_ENCODING": environ.get("HTTP_CONTENT_ENCODING", ""),
        "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
        "GIT_COMMITTER_NAME": user.name,
        "GIT_COMMITTER_EMAIL": user.email,
    }
    environment: Mapping[str, str] = {**repository.environment, **{k: v for k, v in gateway.items() if v}}
    return repository.processes.start(
        ["git", "http-backend"],
        env=environment,
        cwd=repository.path,
        stdin=_descriptor(environ["wsgi.input"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _descriptor(body: Any) -> int:
    """The request's body as a file descriptor at its beginning, whatever was read from it before."""
    body.flush()
    descriptor = int(body.fileno())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _headers(process: "subprocess.Popen[bytes]") -> tuple[str, list[tuple[str, str]]]:
    """The status and headers a CGI program prints before its body."""
    status, headers = "200 OK", []
    assert process.stdout is not None  # noqa: S101 it was started with a pipe
    for line in iter(process.stdout.readline, b""):
        name, _, value = line.decode("latin-1").strip().partition(": ")
        if not name:
            break
        if name.lower() == "status":
            status = value
        else:
            headers.append((name, value))
    return status, headers


def _stream(process: "subprocess.Popen[bytes]", processes: Processes) -> Iterator[bytes]:
    assert process.stdout is not None  # noqa: S101 it was started with a pipe
    try:
        while data := process.stdout.read1(_CHUNK):  # type: ignore[attr-defined]
            yield data
        process.wait()
    finally:
        process.stdout.close()
        if process.poll() is None:  # the client went away
            processes.stop(process)
