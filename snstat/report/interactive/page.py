"""One HTML page with its picture, bokeh's library and all numbers in it: nothing is loaded from
anywhere, which the page also forbids. The same picture always gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import IO, Any

from snstat.errors import escaped
from snstat.report.figures.style import Style

# The ids of the element that the picture is drawn in, and of its data.
PLACE, DATA = "picture", "data"
# Scripts and styles of the page itself alone; bokeh compiles functions and makes images.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
    " img-src data: blob:; font-src data:"
)
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="generator" content="snstat">
<meta name="description" content="{description}">
<title>{title}</title>
<style>
body {{ background: {ground}; color: {ink}; font: 15px sans-serif; margin: 1.5em auto;
  max-width: 1000px; padding: 0 1em; }}
p {{ font-size: 13px; margin: 0.5em 0; }}
.caption {{ color: {faint}; }}
</style>
</head>
<body>
<div id="{place}"></div>
{words}
<script type="application/json" id="{data_id}">{data}</script>
<script>{library}</script>
<script>
Bokeh.embed.embed_item(JSON.parse(document.getElementById("{data_id}").textContent));
</script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class InteractivePage:
    """A `picture` of bokeh with its `title`, the `key` to its marks and its `caption`."""

    picture: Any
    title: str
    key: str
    caption: str
    look: Style

    def save(self, target: IO[bytes], *, description: str = "") -> None:
        """Write the page to a binary file. `description`, such as the command that made it, goes
        into its metadata."""
        from bokeh.resources import Resources

        library = Resources(mode="inline", components=["bokeh"], minified=True).js_raw
        lines = [("key", self.key), ("caption", self.caption)]
        text = TEMPLATE.format(
            policy=POLICY,
            description=_safe(description),
            title=_safe(self.title),
            ground=self.look.ground,
            ink=self.look.ink,
            faint=self.look.faint,
            place=PLACE,
            data_id=DATA,
            words="\n".join(f'<p class="{name}">{_safe(own)}</p>' for name, own in lines if own),
            data=self._data(),
            # No text of the library may end its element.
            library="\n".join(library).replace("</script", "<\\/script"),
        )
        target.write(text.encode())

    def _data(self) -> str:
        """Return the picture as JSON that may stand in an element of HTML."""
        from bokeh.embed import json_item

        item: dict[str, Any] = json_item(self.picture, target=PLACE)
        numbers: dict[str, str] = {}
        for name in _ids(item):
            numbers.setdefault(name, f"p{len(numbers)}")
        text = json.dumps(_renamed(item, numbers), ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c")


def _ids(item: Any) -> Iterator[str]:
    """Yield the ids of models in a document, which count on from document to document."""
    if isinstance(item, dict):
        if isinstance(item.get("id"), str):
            yield item["id"]
        for value in item.values():
            yield from _ids(value)
    elif isinstance(item, list):
        for value in item:
            yield from _ids(value)


def _renamed(item: Any, names: dict[str, str]) -> Any:
    """Return a document with other ids of models."""
    if isinstance(item, dict):
        return {
            key: names.get(value, value)
            if key in ("id", "root_id") and isinstance(value, str)
            else _renamed(value, names)
            for key, value in item.items()
        }
    return [_renamed(value, names) for value in item] if isinstance(item, list) else item


def _safe(text: str) -> str:
    return escape(escaped(text))
