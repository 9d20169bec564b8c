"""What builds run: a push becomes an event, a run becomes proposals, git becomes endpoints."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitops.commands.desk import ATTEMPTS_FOR_A_PERSON, Desk, amount, desk
from gitops.errors import GitopsError
from gitops.settings import Settings, required
from pipelines.errors import ProjectError

if TYPE_CHECKING:
    from gitops.promotion.candidate import Candidate

Command = Callable[[argparse.Namespace, Settings], int]


def add_parsers(verbs: Any) -> None:
    """Their arguments."""
    notify = verbs.add_parser("notify", help="make a push known: source to S3, event to the bus")
    notify.add_argument("--branch", required=True)
    notify.add_argument("--before", required=True, help="the branch's sha before the push; zeros if it was new")
    notify.add_argument("--sha", required=True, help="the pushed commit; zeros if the branch was deleted")
    propose = verbs.add_parser("propose", help="propose what a finished pipeline execution registered")
    propose.add_argument("--execution", required=True, metavar="ARN")
    reconcile = verbs.add_parser("reconcile", help="make an environment what git says")
    reconcile.add_argument("environment")
    reconcile.add_argument("--wait-minutes", type=amount, default=30.0, help="for each endpoint (default 30)")
    reconcile.add_argument("--lease-seconds", type=amount, default=60.0, help="a dead build is waited for (default 60)")
    image = verbs.add_parser("image", help="build the serving image, and propose it")
    image.add_argument("--store", choices=("registry", "archive"), default="registry", help="docker, or localcloud's")
    image.add_argument("--environment", help="whose deploy files; default: the first of project.yml")
    image.add_argument("--image", help="one that is there already, by digest, instead of building")


def notify(arguments: argparse.Namespace, settings: Settings) -> int:
    """The push becomes an event, unless it is none of ours."""
    from gitops import aws, git
    from gitops.events import notify as notifying

    push = notifying.Push(arguments.branch, arguments.before, arguments.sha)
    if git.is_zero(push.sha):
        print(notifying.deleted(push))
        return _count_ignored("HEAD", settings)
    here = _announcer(git.commit(push.sha), settings)
    ignored = notifying.ignored(push, here.team.git.branch)
    if ignored:
        print(ignored)
        return _count_ignored(push.sha, settings)
    with aws.explained():
        target = notifying.Target(
            s3=here.client("s3"),
            events=here.client("events"),
            bucket=here.bucket,
            bus=settings.bus or here.team.project,
            project=here.team.project,
        )
        notifying.notify(push, target)
    return 0


def _count_ignored(commit: str, settings: Settings) -> int:
    """Count it, if the environment says that there is a cloud to count in; always exit code 0."""
    from gitops.events import notify as notifying

    if settings.bucket or settings.bus:
        try:
            here = replace(_announcer(commit, settings), attempts=ATTEMPTS_FOR_A_PERSON)
            notifying.count(here.client, here.team.project)
        except ProjectError as error:  # nobody knows whose push it was
            print(f"not counted: {error}")
    return 0


def _announcer(commit: str, settings: Settings) -> Desk:
    """The project as the commit has it, not the working tree: a bare repository has none."""
    from gitops import git
    from pipelines import documents, models, project

    text = git.show(commit, project.FILE)
    if text is None:
        raise GitopsError(f"{project.FILE}: is not in commit {commit[:12]}; it names the branch to listen to")
    name = Path(project.FILE)
    team = models.parse(project.Project, name, documents.load(name, text.decode("utf-8", errors="replace")))
    return Desk(Path.cwd(), team, settings)


def propose(arguments: argparse.Namespace, settings: Settings) -> int:
    """What the execution registered is proposed to each environment."""
    from gitops import aws
    from gitops.promotion import candidate
    from gitops.promotion import propose as proposing
    from pipelines import params

    here = desk(settings)
    with aws.explained():
        sagemaker = here.client("sagemaker")
        run = candidate.execution(sagemaker, arguments.execution)
        if run.status != "Succeeded":
            print(f"{run.arn}: is {run.status}; only what succeeded is proposed")
            return 0
        file = _params_file(here, run.pipeline)
        model, wanted = params.model_name(file), params.load(file)
        package = candidate.package(sagemaker, wanted.registry.group, run)
        if package is None:
            print(
                f"{run.run_id[:12]}: registered no new version (its archive was registered before); nothing to propose"
            )
            return 0
        found = candidate.candidate(here.client("s3"), model, run, package)
        found = replace(found, whole_report=_whole_report(here, found))
    policy = proposing.Policy(here.team.environments, dict(wanted.release))
    proposing.Proposer(here.host(), policy, found).all()
    return 0


def _whole_report(here: Desk, found: "Candidate") -> str:
    """Where the report lies once the run is in it; empty, and said, if that fails: evaluation's own is there too."""
    from gitops import aws
    from gitops.oncall import report_store, run_report

    try:
        with aws.explained():
            run = run_report.read(here.client("sagemaker"), found.execution.arn)
            return report_store.complete(here.client("s3"), found.report, run, found.release.id)
    except GitopsError as error:
        print(f"{error}; the request names the report without its run")
        return ""


def _params_file(here: Desk, pipeline: str) -> Path:
    """params/<model>.yml of the pipeline `<project>-<model>`."""
    for file in sorted((here.root / "params").glob("*.yml")):
        if not file.name.endswith(".data.yml") and f"{here.team.project}-{file.stem}" == pipeline:
            return file
    raise GitopsError(f"{pipeline}: no params/<model>.yml here makes this pipeline; is it another project's?")


def reconcile(arguments: argparse.Namespace, settings: Settings) -> int:
    """Every deploy file of the environment is made real."""
    from gitops import aws, specs
    from gitops.delivery import reconcile as reconciling

    here = desk(settings)
    environment = here.environment(arguments.environment)
    role = required(settings.serving_role_arn, "SERVING_ROLE_ARN")
    with aws.explained():
        reconciler = reconciling.Reconciler(
            cloud=reconciling.Cloud(
                sagemaker=here.client("sagemaker"),
                runtime=here.client("sagemaker-runtime"),
                s3=here.client("s3"),
                client=here.client,
            ),
            host=here.host(),
            place=specs.Place(here.team.project, environment, role),
            commit=required(settings.commit, "COMMIT"),
            root=here.root,
            seconds=arguments.wait_minutes * 60,
            lease_seconds=arguments.lease_seconds,
            who=settings.build,
        )
        failures = reconciler.all()
    for failure in failures:
        print(f"failed: {failure}")
    if failures:
        raise GitopsError(f"{len(failures)} of {arguments.environment}'s deploy files failed; each is explained above")
    return 0


def image(arguments: argparse.Namespace, settings: Settings) -> int:
    """The serving image is built, if none is named, and proposed."""
    from gitops import aws
    from gitops.promotion import image as imaging
    from gitops.promotion import registry

    here = desk(settings)
    environment = here.environment(arguments.environment or here.team.environments[0])
    if arguments.image and not registry.PINNED.fullmatch(arguments.image):
        raise GitopsError(f"{arguments.image}: is no image by digest; write <repository>@sha256:<digest>")
    host = here.host()
    with aws.explained():
        found = arguments.image
        if not found:
            if not imaging.newest(host, here.root, required(settings.commit, "COMMIT")):
                print("superseded: the branch has newer serving code; its own build proposes that")
                return 0
            kiln = registry.Kiln(
                root=here.root,
                repository=required(settings.serving_image, "SERVING_IMAGE").partition("@")[0],
                base=settings.base_image,
                bucket=here.bucket,
                client=here.client,
            )
            found = registry.build(kiln, arguments.store)
            print(f"image: {found}")
    imaging.ImageProposer(host, here.root, environment, found).propose()
    return 0


COMMANDS: dict[str, Command] = {
    "notify": notify,
    "propose": propose,
    "reconcile": reconcile,
    "image": image,
}
