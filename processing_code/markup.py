"""HTML that is well-formed and cannot be broken out of: text is escaped wherever it is put, and only once."""

import html
import re
from collections.abc import Iterable, Sequence

LONGEST = 500  # characters of one text that comes from outside
# what XML has no way to write, and what turns the direction of a text
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]"
)


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Any text as content or as a value of an attribute."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(CONTROL.sub("\ufffd", str(text))))


def short(text: object) -> Markup:
    """As `escape`, cut where it is too long to be read anyway."""
    found = str(text)
    return escape(found if len(found) <= LONGEST else found[: LONGEST - 1] + "…")


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """<name attributes>children</name>; `_` at the end of an attribute's name is dropped, inside it is a dash."""
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{words}>{inside}</{name}>")


def empty(name: str, /, **attributes: object) -> Markup:
    """<name attributes/>: an element without content."""
    return Markup(tag(name, **attributes).removesuffix(f"></{name}>") + "/>")


def join(parts: Iterable[object]) -> Markup:
    """Several pieces as one."""
    return Markup("".join(escape(part) for part in parts))


def number(value: object, digits: int = 4) -> Markup:
    """A number as people read it, with the exact one beside it; a dash for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Markup("-")
    shown = f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"
    return tag("data", shown, value=repr(value))


def table(head: tuple[str, ...], rows: Sequence[Sequence[object]]) -> Markup:
    """A table; nothing where there is no row."""
    if not rows:
        return Markup("")
    top = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in head)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows))
    return tag("table", top, body)


def section(title: str, *children: object) -> Markup:
    """A part of the page; nothing where it has no content."""
    content = join(children)
    return tag("section", tag("h2", title), content) if content else content
