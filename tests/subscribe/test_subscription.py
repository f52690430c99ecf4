"""What is declared is taken as it was meant, or refused at once."""

import logging

import pytest

from holdfast.events.logs import configure_logging
from holdfast.subscribe.handlers.guard import Guard, TargetRefused
from holdfast.subscribe.handlers.webhook import Webhook
from holdfast.subscribe.subscription import Start, Subscription
from tests.subscribe.test_webhook import LOOPBACK, SECRET, Receiver, receiver
from tests.subscribe.worlds import Seen, a_delivery


def test_where_it_begins_may_be_said_in_a_word() -> None:
    assert Seen().subscription(start="now").start is Start.NOW
    assert Seen().subscription(start="beginning").start is Start.BEGINNING
    with pytest.raises(ValueError, match="yesterday"):
        Seen().subscription(start="yesterday")


def test_one_type_is_a_type_and_not_its_letters() -> None:
    wanted = Subscription(name="x", handler=Seen().handle, types="run.*")  # type: ignore[arg-type]

    assert wanted.types == ("run.*",)


async def test_where_a_webhook_goes_is_not_in_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    loggers = [logging.getLogger(name) for name in (None, "httpx2", "httpcore2")]
    before = [(one, one.level, list(one.handlers)) for one in loggers]
    configure_logging("info")
    try:
        async with receiver(Receiver()) as there:
            url = f"http://127.0.0.1:{there.port}/SECRETPATH?token=SECRETQUERY"
            await Webhook(url, SECRET, guard=LOOPBACK).handle(a_delivery())
        logging.getLogger("somebody").info("heard")
        said = capsys.readouterr().out
    finally:
        for one, level, handlers in before:
            one.setLevel(level)
            one.handlers[:] = handlers

    assert "heard" in said
    assert "SECRET" not in said


def test_a_url_that_is_none_is_not_told() -> None:
    with pytest.raises(TargetRefused) as raised:
        Guard().check("https://hooks.example.com:port/SECRETPATH")

    assert "SECRETPATH" not in str(raised.value)
