"""Why does it not register: what came of an id beside what was expected of it, and what to do."""
