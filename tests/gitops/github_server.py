"""GitHub's REST API as far as it is used here, over HTTP, on a real repository: state lives in git and in memory."""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from gitops import git
from gitops.errors import GitopsError

PROJECT = "recsys/film-recommender"
OWNERS = {"bot-token": "bot", "person-token": "person"}
PREFIX = f"/api/v3/repos/{PROJECT}"


class RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class State:
    """A repository, its pull requests and their comments."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.protected = {"main"}
        self.methods = {"allow_merge_commit": True, "allow_squash_merge": True, "allow_rebase_merge": False}
        self.failures: list[int] = []  # answered before anything else, one for each call
        self.redirect = ""

    def git(self, *words: str, given: bytes = b"") -> str:
        who = ["-c", "user.name=github", "-c", "user.email=github@example.com"]
        return git.run(*who, *words, cwd=self.root, given=given).decode().strip()

    def sha(self, ref: str) -> str:
        try:
            return git.commit(ref, self.root)
        except GitopsError as error:
            raise RefusedError(404, "Not Found") from error

    def pull(self, number: str) -> dict[str, Any]:
        found = self.pulls[int(number)]
        if found["state"] == "open":
            found["head"]["sha"] = self.sha(found["head"]["ref"])
        return found

    def mergeable(self, found: dict[str, Any]) -> str:
        if found["draft"]:
            return "draft"
        try:
            self.git("merge-tree", "--write-tree", "main", found["head"]["sha"])
        except GitopsError:
            return "dirty"
        return "clean"


Handler = Callable[[State, str, dict[str, Any], tuple[str, ...]], Any]


def repository(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    return {"owner": {"login": "recsys"}, **state.methods}


def branch(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    return {"commit": {"sha": state.sha(names[0])}, "protected": names[0] in state.protected}


def compare(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    base, head = (state.sha(name) for name in names)
    ahead, behind = (int(state.git("rev-list", "--count", f"{a}..{b}")) for a, b in ((base, head), (head, base)))
    both = "diverged" if ahead and behind else ""
    return {"status": both or ("ahead" if ahead else "behind" if behind else "identical")}


def content(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    data = git.show(state.sha(given["ref"]), names[0], state.root)
    if data is None:
        raise RefusedError(404, "Not Found")
    return {"sha": git.blob_sha(data), "content": base64.encodebytes(data).decode()}


def commit(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    return {"tree": {"sha": state.git("rev-parse", f"{names[0]}^{{tree}}")}}


def create_tree(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    lines = {}
    for line in state.git("ls-tree", "-r", given["base_tree"]).splitlines():
        facts, _, path = line.partition("\t")
        lines[path] = facts.split()[2]
    for one in given["tree"]:
        lines[one["path"]] = state.git("hash-object", "-w", "--stdin", given=one["content"].encode())
    return {"sha": _tree(state, lines)}


def _tree(state: State, files: dict[str, str]) -> str:
    """git mktree, folder by folder."""
    here, below = {}, {}
    for path, identity in files.items():
        top, slash, rest = path.partition("/")
        (below.setdefault(top, {}) if slash else here)[rest or top] = identity
    rows = [f"100644 blob {identity}\t{name}" for name, identity in here.items()]
    rows += [f"040000 tree {_tree(state, inner)}\t{name}" for name, inner in below.items()]
    return state.git("mktree", given="".join(f"{row}\n" for row in rows).encode())


def create_commit(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    parents = [word for parent in given["parents"] for word in ("-p", parent)]
    return {"sha": state.git("commit-tree", given["tree"], *parents, "-m", given["message"])}


def create_ref(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    state.git("update-ref", given["ref"], given["sha"])
    return {}


def delete_ref(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    try:
        state.sha(names[0])
    except RefusedError:
        raise RefusedError(422, "Reference does not exist") from None
    state.git("update-ref", "-d", f"refs/heads/{names[0]}")
    return None


def list_pulls(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    every = [state.pull(str(number)) for number in sorted(state.pulls, reverse=True)]
    if given["state"] != "all":
        every = [one for one in every if one["state"] == given["state"]]
    if "head" in given:
        every = [one for one in every if f"recsys:{one['head']['ref']}" == given["head"]]
    return _page(every, given)


def _page(every: list[Any], given: dict[str, Any]) -> list[Any]:
    size, page = int(given.get("per_page", 30)), int(given.get("page", 1))
    return every[(page - 1) * size : page * size]


def create_pull(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    number = len(state.pulls) + 1
    state.pulls[number] = {
        **{name: given[name] for name in ("title", "body", "draft")},
        "number": number,
        "state": "open",
        "merged_at": None,
        "html_url": f"https://github.example.com/{PROJECT}/pull/{number}",
        "head": {"ref": given["head"], "sha": "", "repo": {"full_name": PROJECT}},
        "base": {"ref": given.get("base", "main"), "repo": {"full_name": PROJECT}},
    }
    return state.pull(str(number))


def get_pull(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    found = state.pull(names[0])
    return {**found, "mergeable_state": state.mergeable(found)}


def update_pull(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    state.pulls[int(names[0])] |= given
    return state.pulls[int(names[0])]


def merge_pull(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    found = state.pull(names[0])
    flag = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}
    if not state.methods[flag[given["merge_method"]]]:
        raise RefusedError(405, "Merge commits are not allowed on this repository.")
    if given["sha"] != found["head"]["sha"]:
        raise RefusedError(409, "Head branch was modified. Review and try the merge again.")
    if state.mergeable(found) != "clean":
        raise RefusedError(405, "Pull Request is not mergeable")
    tree = state.git("merge-tree", "--write-tree", "main", given["sha"])
    parents = ["-p", "main"] + (["-p", given["sha"]] if given["merge_method"] == "merge" else [])
    sha = state.git("commit-tree", tree, *parents, "-m", found["title"])
    state.git("update-ref", "refs/heads/main", sha)
    found |= {"state": "closed", "merged_at": "2026-11-21T00:00:00Z"}
    return {"sha": sha, "merged": True}


def list_comments(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    return _page([one for one in state.comments.values() if one["on"] == int(names[0])], given)


def create_comment(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    number = len(state.comments) + 1
    state.comments[number] = {"id": number, "on": int(names[0]), "body": given["body"], "user": who}
    return state.comments[number]


def update_comment(state: State, who: str, given: dict[str, Any], names: tuple[str, ...]) -> Any:
    found = state.comments[int(names[0])]
    if found["user"] != who:
        raise RefusedError(403, "Resource not accessible by personal access token")
    found["body"] = given["body"]
    return found


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "", repository),
    ("GET", r"/branches/(.+)", branch),
    ("GET", r"/compare/(.+)\.\.\.(.+)", compare),
    ("GET", r"/contents/(.+)", content),
    ("GET", r"/git/commits/(.+)", commit),
    ("POST", "/git/trees", create_tree),
    ("POST", "/git/commits", create_commit),
    ("POST", "/git/refs", create_ref),
    ("DELETE", r"/git/refs/heads/(.+)", delete_ref),
    ("GET", "/pulls", list_pulls),
    ("POST", "/pulls", create_pull),
    ("GET", r"/pulls/(\d+)", get_pull),
    ("PATCH", r"/pulls/(\d+)", update_pull),
    ("PUT", r"/pulls/(\d+)/merge", merge_pull),
    ("GET", r"/issues/(\d+)/comments", list_comments),
    ("POST", r"/issues/(\d+)/comments", create_comment),
    ("PATCH", r"/issues/comments/(\d+)", update_comment),
)


class Answering(BaseHTTPRequestHandler):
    state: State

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        given = json.loads(self.rfile.read(length) or b"{}")
        address = urlsplit(self.path)
        given |= {name: values[0] for name, values in parse_qs(address.query).items()}
        try:
            code, body = 200, self.routed(unquote(address.path), given)
        except RefusedError as error:
            code, body = error.code, {"message": str(error)}
        self.send(code, body)

    def routed(self, path: str, given: dict[str, Any]) -> Any:
        if self.state.failures:
            raise RefusedError(self.state.failures.pop(0), "try again")
        who = OWNERS.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if who is None:
            raise RefusedError(401, "Bad credentials")
        for method, pattern, handler in ROUTES:
            match = re.fullmatch(re.escape(PREFIX) + pattern, path)
            if match and method == self.command:
                return handler(self.state, who, given, match.groups())
        raise RefusedError(404, "Not Found")

    def send(self, code: int, body: Any) -> None:
        if self.state.redirect:
            code = 301
        content = json.dumps(body).encode()
        self.send_response(code)
        if self.state.redirect:
            self.send_header("Location", self.state.redirect)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, State]]:
    """The server's address and state; `root` is a repository whose main branch is not checked out."""
    state = State(root)
    handler = type("Bound", (Answering,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", state
    finally:
        server.shutdown()
        server.server_close()
