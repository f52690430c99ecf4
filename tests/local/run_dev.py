"""Runs `run_dev` with stand-ins: `python -m tests.local.run_dev '{"data_dir": "there", …}'`."""

import asyncio
import json
import sys
from pathlib import Path

from holdfast.local.options import DevOptions
from holdfast.local.supervisor import run_dev

STANDIN = (sys.executable, str(Path(__file__).with_name("standin.py")))


async def no_migrations(database_url: str) -> None:
    print(f"migrated {database_url}", flush=True)


def main() -> None:
    words = json.loads(sys.argv[1])
    traits = tuple(words.pop("traits", ()))
    options = DevOptions(
        data_dir=Path(words.pop("data_dir")),
        app=tuple(words.pop("app", ())),
        orchestrator_command=STANDIN,
        gateway_command=(*STANDIN, *traits),
        migrate=no_migrations,
        **words,
    )
    sys.exit(asyncio.run(run_dev(options, on_line=lambda line: print(line, flush=True))))


if __name__ == "__main__":
    main()
