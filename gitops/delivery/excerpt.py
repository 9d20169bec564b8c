"""The last words of containers that failed, for the build's log only: they may hold ids of people."""

from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

GROUP = "/aws/sagemaker/Endpoints/"
STREAMS, LINES, WIDTH = 2, 10, 300


def last_words(logs: Any, endpoint: str, since: str) -> list[str]:
    """Ten lines each of the newest containers begun after `since` (ISO, or "never"); none where none can be had."""
    begun = datetime.fromisoformat(since).timestamp() * 1000 if since[:1].isdigit() else 0
    group, found = f"{GROUP}{endpoint}", []
    try:
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        newest = sorted(streams, key=lambda stream: int(stream.get("creationTime", 0)))[-STREAMS:]
        for stream in newest:
            if int(stream.get("creationTime", 0)) < begun:
                continue
            name = stream["logStreamName"]
            events = logs.get_log_events(logGroupName=group, logStreamName=name, limit=LINES, startFromHead=False)
            found += [f"{name}: {event['message'].strip()[:WIDTH]}" for event in events["events"]]
    except (ClientError, BotoCoreError):
        return found  # the failure itself is said anyway
    return found
