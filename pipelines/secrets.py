"""How secrets look, and what is shown instead of one. What does not look like one may be one all the same."""

import re

# what -> how it looks; a new kind is one line
PATTERNS: dict[str, re.Pattern[str]] = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    # a line break may be written as \n, and every line of the key is a part of it
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:(?:\s|\\n)+[A-Za-z0-9+/=]{16,})+"),
    "a GitLab token": re.compile(r"\bgl(?:pat|ptt|rt|cbt)-[A-Za-z0-9_-]{20,}"),
    "a GitHub token": re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})"),
}
# what is left of one where a long value was cut
CUT = re.compile(
    r"(?:\b(?:AKIA|ASIA|gl(?:pat|ptt|rt|cbt)-|gh[opsur]_|github_pat_)[\w-]*"
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^`]*?)(?=…|\.\.\.)"
)


def masked(text: str) -> str:
    """The text with *** for whatever looks like a secret: errors and plans show values of files."""
    for pattern in (*PATTERNS.values(), CUT):
        text = pattern.sub("***", text)
    return text
