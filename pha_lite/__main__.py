"""`python -m pha_lite` is `pha`."""

import sys

from pha_lite.cli import main

sys.exit(main())
