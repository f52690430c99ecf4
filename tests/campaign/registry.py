"""Every scenario by its name. A new one is a file in `scenarios` and a line here."""

from collections.abc import Mapping

from tests.campaign.scenario import Scenario
from tests.campaign.scenarios.commit_replies_lost import CommitRepliesLost
from tests.campaign.scenarios.failpoint_errors import FailpointErrors
from tests.campaign.scenarios.failpoint_kills import FailpointKills
from tests.campaign.scenarios.gateway_kills import GatewayKills
from tests.campaign.scenarios.lying_database import LyingDatabase
from tests.campaign.scenarios.network import Network
from tests.campaign.scenarios.older_backup import OlderBackup
from tests.campaign.scenarios.poison import Poison
from tests.campaign.scenarios.postgres_stops import PostgresStops
from tests.campaign.scenarios.postgres_troubles import PostgresTroubles
from tests.campaign.scenarios.random_kills import RandomKills
from tests.campaign.scenarios.redis_failovers import RedisFailovers
from tests.campaign.scenarios.redis_flushes import RedisFlushes
from tests.campaign.scenarios.redis_kills import RedisKills
from tests.campaign.scenarios.redis_refuses import RedisRefuses
from tests.campaign.scenarios.redis_tail_cuts import RedisTailCuts
from tests.campaign.scenarios.rolling_restarts import RollingRestarts
from tests.campaign.scenarios.slow_clients import SlowClients
from tests.campaign.scenarios.storms import CLIENTS_LARGE, Storms
from tests.campaign.scenarios.zombies import Zombies

ALL: tuple[Scenario, ...] = (
    FailpointKills(),
    RandomKills(),
    Zombies(),
    FailpointErrors(),
    Poison(),
    GatewayKills(),
    RedisKills(),
    RedisFlushes(),
    RedisTailCuts(),
    RedisFailovers(),
    RedisRefuses(),
    PostgresStops(),
    PostgresTroubles(),
    CommitRepliesLost(),
    Network(),
    Storms(),
    Storms(CLIENTS_LARGE),
    LyingDatabase(),
    SlowClients(),
    OlderBackup(),
    RollingRestarts(),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in ALL}
