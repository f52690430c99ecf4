"""How many streams of whom, and where a request comes from."""

import ipaddress

import pytest

from holdfast.gateway.address import client_address, undeclared_proxy
from holdfast.gateway.principal import Principal
from holdfast.gateway.refusals import Why
from holdfast.gateway.seats import NoSeat, Seat, Seats, Visitor

ANN = Visitor(Principal("acme", "ann"))
ANYBODY = Visitor(Principal("local"))


def made(process: int = 100, address: int = 0, principal: int = 0, session: int = 0) -> Seats:
    return Seats(
        process_max=process, address_max=address, principal_max=principal, session_max=session
    )


def taken(seats: Seats, visitor: Visitor, session: int, count: int) -> list[Seat]:
    return [seats.take(visitor, session) for _ in range(count)]


def refused(seats: Seats, visitor: Visitor, session: int = 1) -> Why:
    with pytest.raises(NoSeat) as caught:
        seats.take(visitor, session)
    return caught.value.why


def test_the_process_takes_so_many_whoever_they_are():
    seats = made(process=2)
    taken(seats, ANYBODY, 1, 2)

    assert seats.full
    assert refused(seats, ANN) is Why.FULL


def test_a_principal_has_so_many_in_a_session_and_so_many_in_all():
    seats = made(principal=3, session=2)
    taken(seats, ANN, 1, 2)

    assert refused(seats, ANN, 1) is Why.SESSION
    taken(seats, ANN, 2, 1)
    assert refused(seats, ANN, 3) is Why.PRINCIPAL
    taken(seats, Visitor(Principal("acme", "bob")), 1, 2)
    taken(seats, Visitor(Principal("other", "ann")), 1, 2)


def test_an_address_has_so_many_whoever_is_behind_it():
    seats = made(address=2)
    taken(seats, Visitor(Principal("local"), "198.51.100.7"), 1, 1)
    taken(seats, Visitor(Principal("acme", "ann"), "198.51.100.7"), 2, 1)

    assert refused(seats, Visitor(Principal("local"), "198.51.100.7")) is Why.ADDRESS
    taken(seats, Visitor(Principal("local"), "198.51.100.8"), 1, 2)


def test_who_is_not_known_is_held_against_nothing():
    seats = made(address=1, principal=1, session=1)

    taken(seats, ANYBODY, 1, 50)

    assert seats.taken == 50


def test_a_seat_that_is_left_is_free_and_nothing_of_it_stays():
    seats = made(address=1, principal=1, session=1)
    visitor = Visitor(Principal("acme", "ann"), "198.51.100.7")
    [seat] = taken(seats, visitor, 1, 1)

    seat.leave()
    seat.leave()

    assert (seats.taken, seats.counted) == (0, 0)
    taken(seats, visitor, 1, 1)


def test_who_is_turned_away_is_counted_nowhere():
    seats = made(address=5, principal=1)
    visitor = Visitor(Principal("acme", "ann"), "198.51.100.7")
    [seat] = taken(seats, visitor, 1, 1)

    assert refused(seats, visitor) is Why.PRINCIPAL
    seat.leave()

    assert (seats.taken, seats.counted) == (0, 0)


PROXIES = (ipaddress.ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", [], "198.51.100.7"),
        ("2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", [], "198.51.100.7"),
        ("127.0.0.1", [], None),
        ("::1", [], None),
        # What somebody writes who is no proxy of ours is worth nothing.
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
        ("10.1.1.1", [], None),
        ("10.1.1.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        # The client began the header itself; the proxies went on with it.
        ("10.1.1.1", ["1.1.1.1, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        ("10.1.1.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        ("10.1.1.1", ["10.2.2.2"], None),
        ("10.1.1.1", ["203.0.113.9, nonsense"], None),
        (None, [], None),
    ],
)
def test_an_address_is_what_the_last_proxy_of_ours_was_asked_by(
    peer: str | None, forwarded: list[str], address: str | None
):
    scope = {
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }

    assert client_address(scope, PROXIES) == address


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
        ("198.51.100.7", [], None),
        ("10.1.1.1", ["203.0.113.9"], None),
        ("127.0.0.1", ["203.0.113.9"], None),
        (None, ["203.0.113.9"], None),
    ],
)
def test_who_forwards_for_others_and_is_not_known_to_may_be_a_proxy(
    peer: str | None, forwarded: list[str], address: str | None
):
    scope = {
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }

    assert undeclared_proxy(scope, PROXIES) == address
