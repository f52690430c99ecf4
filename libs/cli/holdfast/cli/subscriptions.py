"""Commands for those who look after durable subscriptions: where they stand, and what they could not handle.

They speak to Postgres itself: no gateway has to run, and no subscriber.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from holdfast.cli import exits
from holdfast.cli.database import DatabaseOption
from holdfast.cli.exits import bad_usage
from holdfast.cli.options import JsonOption
from holdfast.cli.output import Output

if TYPE_CHECKING:
    from holdfast.subscribe.store import DeadLetter, SubscriptionInfo, Subscriptions

T = TypeVar("T")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The subscription's name.")]
KeysArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEYS]...", help="As `dead-letters list` shows them, such as 12.3."),
]
AllOption = Annotated[bool, typer.Option("--all", help="Every dead letter of the subscription.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]

# What one command shows; --limit asks for more.
LETTERS_SHOWN = 100
LETTERS_MAX = 10_000

app = typer.Typer(
    name="subscriptions",
    help="Look after durable subscriptions: their lag, their dead letters, their position.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
letters = typer.Typer(
    name="dead-letters",
    help="Events that failed too often: look at them, try them anew, or forget them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(letters)


@app.command("list", short_help="List subscriptions, with their lag.")
def list_all(database_url: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List every subscription that ever ran: who holds it, and how far behind it is.

    \b
    Example:
      holdfast subscriptions list
    """
    output = Output(as_json=as_json)
    infos = _call(output, database_url, lambda subscriptions: subscriptions.all())
    if as_json:
        output.json([_info(info) for info in infos])
        return
    output.table(
        ["subscription", "lag", "behind", "waiting", "dead", "holder", "error"],
        [
            [
                i.name,
                _lag(i),
                f"{i.lag_s:.1f} s",
                str(i.waiting),
                f"{i.dead} (+{i.dropped} dropped)" if i.dropped else str(i.dead),
                i.owner or "-",
                i.error or "",
            ]
            for i in infos
        ],
    )


@app.command(short_help="Show one subscription.")
def show(
    name: NameArgument, database_url: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show where a subscription stands.

    \b
    Example:
      holdfast subscriptions show crm
    """
    output = Output(as_json=as_json)
    infos = _call(output, database_url, lambda subscriptions: subscriptions.all())
    found = next((info for info in infos if info.name == name), None)
    if found is None:
        bad_usage(output, f"no subscription {name!r}")
    if as_json:
        output.json(_info(found))
    else:
        output.table(["field", "value"], [[k, str(v)] for k, v in _info(found).items()])


@app.command(short_help="Move a subscription to another position.")
def reset(
    name: NameArgument,
    to: Annotated[
        str, typer.Option("--to", help="beginning, now, or a position as `show` prints it.")
    ],
    yes: YesOption = False,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move a subscription. Events that wait for another try, and dead letters, are dropped.

    After a move back events are handled again; after a move forward some never are.

    \b
    Example:
      holdfast subscriptions reset crm --to beginning
    """
    from holdfast.subscribe.delivery import Position
    from holdfast.subscribe.subscription import Start

    output = Output(as_json=as_json)
    try:
        place = Start(to) if to in list(Start) else Position.parse(to)
    except ValueError as error:
        bad_usage(output, f"{error}; or say beginning, or now")
    _sure(yes, f"move subscription {name} to {to}?")
    position = _call(output, database_url, lambda s: s.reset(name, place))
    _say(output, {"name": name, "position": str(position)}, f"{name} goes on from {position}")


@app.command(short_help="Make a projection again from nothing.")
def rebuild(
    name: NameArgument,
    module: Annotated[str, typer.Argument(help="The module or file that declares it.")],
    yes: YesOption = False,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Empty a projection's tables and send it back to the first event; whoever runs it fills them.

    \b
    Example:
      holdfast subscriptions rebuild run-statistics holdfast.subscribe.run_statistics
    """
    from holdfast.subscribe.declared import Declared
    from holdfast.subscribe.projection import rebuild as begin_anew

    output = Output(as_json=as_json)
    declared = Declared()
    declared.load([module])
    projection = declared.projections.get(name)
    if projection is None:
        why = declared.broken.get(module) or f"it declares {', '.join(declared.names) or 'nothing'}"
        bad_usage(output, f"{module} has no projection {name!r}: {why}")
    _sure(yes, f"empty the tables of {name} and make them again?")
    _call(output, database_url, lambda s: begin_anew(projection, s))
    _say(output, {"name": name, "rebuilding": True}, f"{name} is made again by whoever runs it")


@letters.command("list", short_help="List dead letters.")
def list_letters(
    name: NameArgument,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=LETTERS_MAX, help="At most so many.")
    ] = LETTERS_SHOWN,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a subscription's dead letters, oldest first.

    \b
    Example:
      holdfast subscriptions dead-letters list crm
    """
    output = Output(as_json=as_json)
    found = _call(output, database_url, lambda s: s.dead_letters(name, limit=limit))
    if as_json:
        output.json([_letter(letter) for letter in found])
        return
    output.table(
        ["key", "session", "seq", "type", "tries", "died", "error"],
        [
            [
                d.key,
                d.session_id,
                str(d.seq),
                d.type or "(erased)",
                str(d.tries),
                f"{d.dead_at:%Y-%m-%d %H:%M:%S}",
                d.error,
            ]
            for d in found
        ],
    )


@letters.command(short_help="Have dead letters tried anew.")
def replay(
    name: NameArgument,
    keys: KeysArgument = None,
    all_: AllOption = False,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have dead letters tried anew, out of their session's order: what came after them was handled.

    \b
    Examples:
      holdfast subscriptions dead-letters replay crm 12.3
      holdfast subscriptions dead-letters replay crm --all
    """
    output = Output(as_json=as_json)
    chosen = _chosen(output, keys, all_)
    n = _call(output, database_url, lambda s: s.replay(name, chosen))
    _say(output, {"replayed": n}, f"{n} tried anew")


@letters.command(short_help="Forget dead letters.")
def discard(
    name: NameArgument,
    keys: KeysArgument = None,
    all_: AllOption = False,
    yes: YesOption = False,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget dead letters: they will never be handled.

    \b
    Example:
      holdfast subscriptions dead-letters discard crm 12.3
    """
    output = Output(as_json=as_json)
    chosen = _chosen(output, keys, all_)
    _sure(yes, f"forget {'all dead letters' if chosen is None else len(chosen)} of {name}?")
    n = _call(output, database_url, lambda s: s.discard(name, chosen))
    _say(output, {"discarded": n}, f"{n} forgotten")


def _call(
    output: Output, database_url: str | None, ask: "Callable[[Subscriptions], Awaitable[T]]"
) -> T:
    # asyncpg takes 0.1 s that no other command needs.
    from holdfast.subscribe.operating import opened

    if not database_url:
        bad_usage(output, "which database? Set HOLDFAST_DATABASE_URL or say --database-url")

    async def work() -> T:
        async with opened(database_url) as subscriptions:
            return await ask(subscriptions)

    return exits.run(output, work())


def _chosen(output: Output, keys: Sequence[str] | None, all_: bool) -> list[tuple[int, int]] | None:
    if bool(keys) == all_:
        bad_usage(output, "which? Say their keys, or --all")
    chosen: list[tuple[int, int]] = []
    for key in keys or ():
        session, _, seq = key.partition(".")
        if not (session.isdecimal() and seq.isdecimal()):
            bad_usage(output, f"{key!r} is no key, such as 12.3")
        chosen.append((int(session), int(seq)))
    return None if all_ else chosen


def _sure(yes: bool, question: str) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _say(output: Output, fact: dict[str, Any], sentence: str) -> None:
    if output.as_json:
        output.json(fact)
    else:
        output.line(sentence)


def _lag(info: "SubscriptionInfo") -> str:
    from holdfast.subscribe.store import LAG_EVENTS_MAX

    return f"over {LAG_EVENTS_MAX}" if info.lag > LAG_EVENTS_MAX else str(info.lag)


def _info(info: "SubscriptionInfo") -> dict[str, Any]:
    return {
        "name": info.name,
        "position": str(info.position),
        "lag": info.lag,
        "lag_s": round(info.lag_s, 3),
        "waiting": info.waiting,
        "dead": info.dead,
        "dropped": info.dropped,
        "holder": info.owner,
        "error": info.error,
        "moved_at": info.moved_at.isoformat(),
    }


def _letter(letter: "DeadLetter") -> dict[str, Any]:
    return {
        "key": letter.key,
        "tenant": letter.tenant,
        "session_id": letter.session_id,
        "seq": letter.seq,
        "type": letter.type,
        "tries": letter.tries,
        "dead_at": letter.dead_at.isoformat(),
        "error": letter.error,
    }
