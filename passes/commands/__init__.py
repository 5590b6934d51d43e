"""The commands of each tile op."""

from passes.commands.compute import lower_compute
from passes.commands.transfer import lower_transfer

__all__ = ["lower_compute", "lower_transfer"]
