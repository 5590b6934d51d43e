"""``python -m bmnetu``."""

import sys

from bmnetu.start import bmnetu

sys.exit(bmnetu())
