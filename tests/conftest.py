"""What holds for all tests: one profile for property tests, and Ctrl-C that reaches the programs we start.

`HYPOTHESIS_PROFILE=explore` looks at new and more examples, for whoever hunts.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# A shell starts background jobs with SIGINT ignored, and what we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
