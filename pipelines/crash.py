"""Named points at which a command can be made to die: CRASH_AT=<point> python -m gitops reconcile staging

A point costs a look into the environment. Each stands where a crash would hurt most: between two side effects. The
tests crash a real command at every one of them, run it again, and compare what is left with an undisturbed run.
"""

import os

VARIABLE = "CRASH_AT"
STATUS = 137  # as the shell shows a process that was killed: no handler runs, nothing is flushed
POINTS: dict[str, str] = {
    "notify:before-source": "nothing is known of the push",
    "notify:after-source": "the source is uploaded, head.json does not name it",
    "notify:after-head": "head.json names the source, the bus has no event",
    "notify:after-event": "all is done, nobody was told",
    "start:before-upload": "the data was found, nothing is written",
    "start:after-upload": "what the steps read is there, the pipeline is not",
    "start:after-pipeline": "the pipeline has its definition, no execution",
    "start:after-start": "the execution runs, its definition was not compared",
    "start:after-retry": "a failed execution was continued, nobody was told",
    "propose:before-request": "it is known what to propose, nothing is proposed",
    "host:after-commit": "the branch has its commit, there is no request",
    "propose:after-request": "the request is open, older ones are too",
    "propose:after-close": "older requests are closed, this one is not merged",
    "propose:after-merge": "the request is merged, nobody was told",
    "reconcile:before-lease": "git was read, nobody holds the lease",
    "reconcile:after-lease": "the lease is held by a dead process",
    "reconcile:after-models": "models and config are there, no endpoint uses them",
    "reconcile:after-note": "the attempt is noted, its call was not made",
    "reconcile:after-call": "SageMaker is at work, nobody waits for it",
    "reconcile:before-verify": "the endpoint rests, nobody has asked it",
    "reconcile:after-verify": "the endpoint has answered, nobody has noted it",
    "reconcile:after-tags": "the success is noted, the package is not approved",
    "reconcile:after-approve": "the package is approved, the lease is held",
    "reconcile:after-release": "all is done, nobody was told",
    "heal:after-note": "it is noted what is put back, its call was not made",
    "heal:after-call": "SageMaker puts it back, nobody waits for it",
    "revert:before-request": "a release was rolled back, nobody was asked to revert it",
    "revert:after-request": "the revert request is open, and not merged where it is automatic",
}


def point(name: str) -> None:
    """Die here, without a word, if CRASH_AT names this point. KeyError for a name that is not in POINTS."""
    if POINTS[name] and name == os.environ.get(VARIABLE):
        os._exit(STATUS)
