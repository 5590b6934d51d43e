"""``python -m bmnetu``."""

import sys

from bmnetu.cli import main

sys.exit(main())
