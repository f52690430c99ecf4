"""Every corruption, by its name."""

from tests.verify import corruptions_clients, corruptions_log, corruptions_rows
from tests.verify.breaking import CORRUPTIONS

__all__ = ["CORRUPTIONS", "corruptions_clients", "corruptions_log", "corruptions_rows"]
