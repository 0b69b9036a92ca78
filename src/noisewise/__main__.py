"""`python -m noisewise` is the `noisewise` command."""

import sys

from noisewise.cli.main import main

sys.exit(main())
