"""`python -m bench.page`: put measured results into `docs/performance.md`.

The page is written by hand but for what stands between `<!-- from NAME -->` and `<!-- end -->`: NAME is a file beside
it, as a benchmark's `--json` wrote it.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from bench.chart import chart
from bench.tables import CAPTION, markdown

DOCS = Path(__file__).parents[1] / "docs"
PART = re.compile(r"<!-- from (?P<name>[\w./-]+) -->\n.*?<!-- end -->", re.DOTALL)


def main() -> int:
    """Renew the page and its chart; return 1 when a result that it names isn't there."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--page", type=Path, default=DOCS / "performance.md")
    page: Path = parser.parse_args().page
    missing: list[str] = []

    def renewed(part: re.Match[str]) -> str:
        source = page.parent / part["name"]
        if not source.exists():
            missing.append(part["name"])
            return part[0]
        found = json.loads(source.read_text(encoding="utf-8"))
        if "loads" in found:
            image = source.with_suffix(".svg")
            image.write_text(chart(found["loads"]), encoding="utf-8")
        return f"<!-- from {part['name']} -->\n{_shown(found)}\n<!-- end -->"

    page.write_text(PART.sub(renewed, page.read_text(encoding="utf-8")), encoding="utf-8")
    for name in missing:
        print(f"error: {page.name} shows {name}, which isn't there", file=sys.stderr)
    return 1 if missing else 0


def _shown(found: dict[str, Any]) -> str:
    about = _about(found["machine"])
    if "loads" in found:
        return f"{markdown(found['loads'])}\n\n{CAPTION[0].upper()}{CAPTION[1:]}. {about}"
    tables = [_table(entry) for entry in found["tables"]]
    return "\n\n".join([*tables, about])


def _table(entry: dict[str, Any]) -> str:
    """Return `{"title": …, "headings": […], "rows": [[…], …]}` in Markdown."""
    headings: list[str] = entry["headings"]
    ruler = ["---", *["--:"] * (len(headings) - 1)]
    lines = [headings, ruler, *entry["rows"]]
    shown = "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)
    return f"**{entry['title']}**\n\n{shown}"


def _about(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {machine['date']} at {machine['commit']}: {machine['cores']} cores of {machine['processor']},"
        f" {machine['system']}, load before {machine['load_before']}; {versions}."
    )


if __name__ == "__main__":
    sys.exit(main())
