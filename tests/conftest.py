"""One profile for all property tests: the same examples each time, and no clock.

`HYPOTHESIS_PROFILE=explore` looks at new and more examples, for whoever hunts.
"""

import os

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
