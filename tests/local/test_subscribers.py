"""Whether `holdfast dev` starts a subscriber."""

import os
import sys
from pathlib import Path

import pytest

from holdfast.local.subscribers import declares_subscriptions

COMMAND = (sys.executable, "-m", "holdfast.subscribe")
DURABLE = """
from holdfast.subscribe import Delivery, subscription

@subscription("crm")
async def tell(event: Delivery) -> None: ...
"""


@pytest.mark.parametrize(
    ("text", "declares"),
    [(DURABLE, True), ("print('loaded')" + DURABLE, True), ("print('loaded')", False)],
)
def test_what_an_application_prints_is_no_subscription(
    tmp_path: Path, text: str, declares: bool
) -> None:
    app = tmp_path / "my_app.py"
    app.write_text(text)

    env = {**os.environ, "HOLDFAST_SUBSCRIBERS": str(app)}

    assert declares_subscriptions(COMMAND, env) is declares


def test_what_cannot_be_asked_declares_nothing() -> None:
    assert not declares_subscriptions(("/nowhere/at/all",), os.environ)
