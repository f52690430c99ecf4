"""One text of metrics out of those of several processes, each sample labelled with the process that it is of.

Adding them up instead would be simpler to read and wrong: gauges of ages, histograms' shapes and restarts, which a rate
has to see for each process by itself, don't add.
"""

import re
from collections.abc import Mapping

_FAMILY = re.compile(r"# HELP (\S+) ")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")


def merged(texts: Mapping[int, bytes]) -> bytes:
    """Merge expositions in Prometheus' text format, as its own client writes them, by process number."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for number, text in texts.items():
        about, samples = list[str](), list[str]()
        for line in text.decode().splitlines():
            if found := _FAMILY.match(line):
                # A family's lines have to stand together, and say once what they are.
                is_new = found[1] not in families
                about, samples = families.setdefault(found[1], ([], []))
                if not is_new:
                    about = []
            if line.startswith("#"):
                about.append(line)
            elif line:
                samples.append(_labelled(line, number))
    lines = [line for about, samples in families.values() for line in (*about, *samples)]
    return "".join(f"{line}\n" for line in lines).encode()


def _labelled(line: str, number: int) -> str:
    name = _NAME.match(line)
    assert name is not None, line
    rest = line[name.end() :]
    if rest.startswith("{"):
        return f'{name[0]}{{process="{number}",{rest[1:]}'
    return f'{name[0]}{{process="{number}"}}{rest}'
