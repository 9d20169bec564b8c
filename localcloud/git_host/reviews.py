"""Calls about merge requests: propose, discuss, approve, merge."""

from typing import Any

from ..service import CloudError
from . import commits
from .call import Answer, Call, is_true
from .merge_requests import MergeRequest, moment


def list_requests(call: Call) -> Any:
    """Newest first; filtered by state, branches, author and words of the title or description."""
    found = [call.project.request(str(iid)) for iid in sorted(call.project.requests, reverse=True)]
    if call.given.get("sort") == "asc":
        found.reverse()
    return [call.project.show_request(request, call.user) for request in found if _wanted(request, call.given)]


def _wanted(request: MergeRequest, given: dict[str, Any]) -> bool:
    facts = {
        "state": request.state,
        "source_branch": request.source,
        "target_branch": request.target,
        "author_username": request.author.username,
    }
    asked = {name: given[name] for name in facts if given.get(name) not in (None, "", "all")}
    text = f"{request.title}\n{request.description}".lower()
    return all(facts[name] == value for name, value in asked.items()) and given.get("search", "").lower() in text


def get_request(call: Call) -> Any:
    return call.project.show_request(_request(call), call.user)


def _request(call: Call) -> MergeRequest:
    return call.project.request(call.names["iid"])


def create_request(call: Call) -> Any:
    """Both branches must exist; a second open request of the same branches is refused with 409."""
    source, target, title = (call.required(name) for name in ("source_branch", "target_branch", "title"))
    with call.project.lock:
        branches = call.project.repository.branches()
        missing = [name for name in (source, target) if name not in branches]
        if missing or source == target:
            raise CloudError("BadRequest", f"Source and target must be two branches; no {missing or source}", 400)
        for request in call.project.requests.values():
            if (request.state, request.source, request.target) == ("opened", source, target):
                text = f"Another open merge request already exists for this source branch: !{request.iid}"
                raise CloudError("Conflict", text, 409)
        iid = max(call.project.requests, default=0) + 1
        request = MergeRequest(iid, call.user, source, target, title)
        request.description = str(call.given.get("description") or "")
        request.remove_source = is_true(call.given.get("remove_source_branch"))
        request.labels = _labels(call.given.get("labels"))
        call.project.requests[iid] = request
    return Answer(call.project.show_request(call.project.request(str(iid)), call.user), 201)


def _labels(given: Any) -> list[str]:
    words = given if isinstance(given, list) else str(given or "").split(",")
    return [word.strip() for word in words if word.strip()]


def update_request(call: Call) -> Any:
    """Title, description, labels, target branch; close or reopen."""
    with call.project.lock:
        request = _request(call)
        request.title = str(call.given.get("title", request.title))
        request.description = str(call.given.get("description", request.description))
        request.target = str(call.given.get("target_branch", request.target))
        if "labels" in call.given:
            request.labels = _labels(call.given["labels"])
        _change_state(request, call.given.get("state_event"))
        request.updated = moment()
    return get_request(call)


def _change_state(request: MergeRequest, event: Any) -> None:
    if event is None:
        return
    if event == "close" and request.state == "opened":
        request.state, request.closed = "closed", moment()
    elif event == "reopen" and request.state == "closed":
        request.state, request.closed = "opened", None
    else:
        raise CloudError("BadRequest", f"cannot {event} a merge request that is {request.state}", 400)


def merge_request(call: Call) -> Any:
    """Push a merge commit as the caller. 405 if it may not be merged, 409 if `sha` is not the branch's head."""
    with call.project.lock:
        request = _request(call)
        status = call.project.status(request, call.user)
        if status == "conflict":
            raise CloudError("Conflict", "Branch cannot be merged", 422)
        if status == "not_approved":
            raise CloudError("NotApproved", "405 Method Not Allowed: another person must approve or merge it", 405)
        if status != "mergeable":
            raise CloudError("NotAllowed", f"405 Method Not Allowed: the merge request is {status}", 405)
        if call.given.get("sha") not in (None, request.head):
            raise CloudError("Conflict", "SHA does not match HEAD of source branch", 409)
        branches, landing = (request.target, request.source), _landing(call, request)
        landed = commits.merge(call.project.repository, branches, landing, call.user)
        request.merge_commit, request.squash_commit = landed.merge, landed.squash
        request.state, request.merged, request.merged_by = "merged", moment(), call.user
        if is_true(call.given.get("should_remove_source_branch", request.remove_source)):
            call.project.repository.set_branch(request.source, None)
    return get_request(call)


def _landing(call: Call, request: MergeRequest) -> commits.Landing:
    """As the project merges; its squash option `always` or `never` outweighs what the caller asks for."""
    options = {"always": True, "never": False}
    squash = options.get(call.project.squash_option, is_true(call.given.get("squash")))
    message = str(call.given.get("merge_commit_message") or _message(call, request))
    return commits.Landing(call.project.merge_method, squash, message)


def _message(call: Call, request: MergeRequest) -> str:
    first = f"Merge branch '{request.source}' into '{request.target}'"
    return f"{first}\n\n{request.title}\n\nSee merge request {call.project.name}!{request.iid}"


def approve(call: Call) -> Any:
    """Approve the branch's present head; not one's own request."""
    with call.project.lock:
        request = _request(call)
        if call.user == request.author:
            raise CloudError("Unauthorized", "401 Unauthorized: the author cannot approve", 401)
        if call.given.get("sha") not in (None, request.head):
            raise CloudError("Conflict", "SHA does not match HEAD of source branch", 409)
        if request.state != "opened" or request.head is None:
            raise CloudError("NotAllowed", "405 Method Not Allowed: the merge request is not open", 405)
        request.approvals[call.user] = request.head
    return Answer(_approvals(call), 201)


def unapprove(call: Call) -> Any:
    if _request(call).approvals.pop(call.user, None) is None:
        raise CloudError("NotFound", "404 Not found", 404)
    return Answer(_approvals(call), 201)


def get_approvals(call: Call) -> Any:
    return _approvals(call)


def _approvals(call: Call) -> dict[str, Any]:
    request = _request(call)
    approvers = request.approvers(request.head)
    return {
        "iid": request.iid,
        "state": request.state,
        "approved": bool(approvers),
        "approved_by": [{"user": user.shown()} for user in approvers],
        "user_has_approved": call.user in approvers,
        "user_can_approve": call.user != request.author and call.user not in approvers,
    }


def get_changes(call: Call) -> Any:
    request = _request(call)
    return {**call.project.show_request(request, call.user), "changes": call.project.changes(request)}


def list_diffs(call: Call) -> Any:
    return call.project.changes(_request(call))


def list_commits(call: Call) -> Any:
    request = _request(call)
    if not request.base or not request.head:
        return []
    return [call.project.show_commit(c) for c in call.project.repository.commits(f"{request.base}..{request.head}")]


def list_notes(call: Call) -> Any:
    """Newest first, as GitLab's default."""
    notes = [note.shown() for note in _request(call).notes.values()]
    return notes if call.given.get("sort") == "asc" else notes[::-1]


def create_note(call: Call) -> Any:
    return Answer(_request(call).comment(call.user, call.required("body")).shown(), 201)


def update_note(call: Call) -> Any:
    note = _request(call).notes.get(int(call.names["note"]))
    if note is None:
        raise CloudError("NotFound", "404 Not found", 404)
    if note.author != call.user:
        raise CloudError("Forbidden", "403 Forbidden", 403)
    note.body, note.updated = call.required("body"), moment()
    return note.shown()


def get_note(call: Call) -> Any:
    note = _request(call).notes.get(int(call.names["note"]))
    if note is None:
        raise CloudError("NotFound", "404 Not found", 404)
    return note.shown()
