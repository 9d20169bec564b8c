"""Events that no build took, and the way back: python -m gitops replay [--list] [<message id> | --all]

EventBridge leaves an event in the dead-letter queue with four attributes that say what failed. Putting it back is
safe however often it happens: a run's id is its content, a deployment compares first, a proposal is made once.
A message is deleted only after the event was accepted.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError

HIDDEN_SECONDS = 60  # for which a message that was read is nobody else's; it is given back at the end
LIMIT = 1000  # messages looked at in one call
Say = Callable[[str], None]


@dataclass(frozen=True)
class Letter:
    """One message of the dead-letter queue."""

    message: str  # its id
    receipt: str
    event: dict[str, Any]  # as EventBridge delivered it; empty if the body is no event
    rule: str
    target: str
    error: str
    sent: dt.datetime

    @property
    def bus(self) -> str:
        """The bus of the rule that failed: `rule/<bus>/<rule>`, or `rule/<rule>` on the default bus."""
        parts = self.rule.partition(":rule/")[2].split("/")
        return parts[0] if len(parts) > 1 else "default"

    def line(self, now: dt.datetime) -> str:
        """What failed, in two lines of a list."""
        minutes = max(int((now - self.sent).total_seconds() // 60), 0)
        what = self.event.get("detail", {})
        about = what.get("sha") or what.get("pipelineExecutionArn") or "no event of this project"
        return (
            f"{self.message}  {minutes} min  {self.event.get('source', '?')} {str(about).rpartition('/')[2][:12]}\n"
            f"    rule {self.rule.rpartition('/')[2]} -> {self.target.rpartition('/')[2]}: {self.error}"
        )


def queue_name(project: str) -> str:
    """As infra/template.yml names it."""
    return f"{project}-dead-letters"


@dataclass
class Replayer:
    """Reads one dead-letter queue and puts its events back."""

    sqs: Any
    events: Any
    codebuild: Any
    queue: str  # its name
    say: Say = print
    url: str = field(default="", init=False)

    @contextmanager
    def letters(self) -> Iterator[list[Letter]]:
        """Every message there is; what was not deleted meanwhile is visible to others again afterwards."""
        found = self._receive()
        try:
            yield found
        finally:
            for letter in found:
                try:
                    self.sqs.change_message_visibility(
                        QueueUrl=self.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
                    )
                except ClientError:  # deleted, or visible again already
                    continue

    def _receive(self) -> list[Letter]:
        try:
            self.url = self.sqs.get_queue_url(QueueName=self.queue)["QueueUrl"]
        except ClientError as error:
            if "NonExistentQueue" not in aws.code(error):
                raise
            raise GitopsError(f"{self.queue}: there is no such queue; deploy infra/, which makes it") from error
        found: dict[str, Letter] = {}
        while len(found) < LIMIT:
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,  # a long poll asks all of SQS's servers; a short one may miss messages
                MessageAttributeNames=["All"],
                AttributeNames=["SentTimestamp"],
            )
            fresh = [letter for letter in map(_letter, answer.get("Messages", [])) if letter.message not in found]
            if not fresh:
                break
            found |= {letter.message: letter for letter in fresh}
        return sorted(found.values(), key=lambda letter: (letter.sent, letter.message))

    def replay(self, chosen: list[Letter]) -> list[str]:
        """Put these back, oldest first; the failures, each a line. A message that failed stays in the queue."""
        failures = []
        for letter in chosen:
            try:
                with aws.explained():
                    where = WAYS[_source(letter)](self, letter)
                    self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)
            except GitopsError as error:
                failures.append(f"{letter.message}: {error}")
            else:
                self.say(f"{letter.message}: {where}; the message is deleted")
        return failures


def _letter(message: dict[str, Any]) -> Letter:
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    try:
        event = json.loads(message["Body"])
    except ValueError:
        event = {}
    error = f"{attributes.get('ERROR_CODE', 'no reason given')}: {attributes.get('ERROR_MESSAGE', '')}"
    return Letter(
        message=message["MessageId"],
        receipt=message["ReceiptHandle"],
        event=event if isinstance(event, dict) and isinstance(event.get("detail"), dict) else {},
        rule=attributes.get("RULE_ARN", ""),
        target=attributes.get("TARGET_ARN", ""),
        error=error.removesuffix(": "),
        sent=dt.datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, dt.UTC),
    )


def _source(letter: Letter) -> str:
    source = str(letter.event.get("source", ""))
    if source not in WAYS:
        raise GitopsError(f"holds no event that is replayed here ({source or 'no source'}); look at it in the queue")
    return source


def _put(replayer: Replayer, letter: Letter) -> str:
    """PutEvents with what it held; a 200 may hold a failed entry."""
    event = letter.event
    entry = {
        "EventBusName": letter.bus,
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "Resources": event.get("resources", []),
    }
    answer = replayer.events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        failed = answer["Entries"][0]
        raise GitopsError(f"bus {letter.bus} refused it: {failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")
    return f"is on bus {letter.bus} again"


def _build(replayer: Replayer, letter: Letter) -> str:
    """Start the target's build: nobody but AWS may put an event of `aws.sagemaker`."""
    execution = letter.event["detail"].get("pipelineExecutionArn")
    kind, _, project = letter.target.partition(":project/")
    if not execution or ":codebuild:" not in kind:
        raise GitopsError(f"names no execution or no build ({letter.target or 'no target'}); see the queue")
    variable = {"name": "EXECUTION_ARN", "value": execution, "type": "PLAINTEXT"}
    build = replayer.codebuild.start_build(projectName=project, environmentVariablesOverride=[variable])
    return f"started build {build['build']['id']}"


WAYS: dict[str, Callable[[Replayer, Letter], str]] = {
    "gitops.commit": _put,
    "aws.sagemaker": _build,
}
