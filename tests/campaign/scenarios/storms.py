"""All clients come back in one moment: how long until the last one has everything, and that nobody missed a thing."""

import resource
from collections.abc import Awaitable, Callable

from tests.campaign.round import Round
from tests.campaign.scenario import Setting
from tests.campaign.storm import storm

# Measured on two quiet cores: 500 in 1 s, 5,000 in 15 s.
BACK_WITHIN_S = 120.0

# Beside the clients: servers' sockets, logs, files of the interpreter, and the clients of the mix.
OTHER_DESCRIPTORS = 1_000

CLIENTS, CLIENTS_LARGE = 500, 5_000


class Storms:
    """Each unit is one storm: every second one is a gateway's death, the others are cuts at the clients' side."""

    batch = 2
    setting = Setting(in_flight=2, clients_max=4, churn=0.0)
    must_fire = ("client.storm",)

    def __init__(self, clients: int = CLIENTS, *, units: int = 20) -> None:
        self.clients, self.ci, self.units = clients, 1, units
        self.name = "storm" if clients == CLIENTS else f"storm-{clients}"
        self.title = f"storm of {clients:,} clients"

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Let everybody connect, break everything, and watch them come back."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < self.clients + OTHER_DESCRIPTORS:
            round_.broken.append(
                f"{self.clients:,} clients need `ulimit -n {self.clients + OTHER_DESCRIPTORS}`,"
                f" here it is {hard:,} at most: this storm was not played"
            )
            return
        for unit in range(first, first + count):
            report = await storm(
                clients=self.clients,
                url=round_.field.gateways,
                disturb=_gateway_dies(round_) if unit % 2 else None,
                within_s=BACK_WITHIN_S,
            )
            round_.fault(str(report))
            round_.broken += report.violations
            if report.late_checks:
                round_.broken.append(f"{report.late_checks} head checks queued behind the storm")
            round_.sample("storm: half were back", report.recovered_p50_s)
            round_.sample("storm: 99 % were back", report.recovered_p99_s)
            round_.sample("storm: all were back", report.recovered_s)
            round_.notes.counts["client.storm"] += report.connects
            round_.done["gateway killed" if unit % 2 else "all cut"] += 1


def _gateway_dies(round_: Round) -> Callable[[], Awaitable[None]]:
    async def die() -> None:
        """Kill all of them, so that nobody is spared, and have them back at their addresses."""
        field = round_.field
        dead = dict(field.gateway_children)
        for child in dead.values():
            child.kill()
        for url, child in dead.items():
            await child.gone.wait()
            await field.gateway(port=int(url.rpartition(":")[2]))

    return die
