"""Text that others wrote, as Markdown that does nothing: no markup, no mention, no command of the git host's."""

import re

WIDEST = 500  # characters of one such text
# what moves a cursor, turns a line round, shows nothing, or cannot be written
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e0fff]+"
)


def code(text: object) -> str:
    """A text as one code span: no markup, no mention, no second line."""
    plain = HIDDEN.sub(" ", str(text)).replace("`", "'").strip()
    return f"`{plain if len(plain) <= WIDEST else plain[: WIDEST - 1] + '…'}`" if plain else "` `"


def cell(text: object) -> str:
    """As `code`, in a table."""
    return code(text).replace("|", "\\|")
