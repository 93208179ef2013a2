"""Header values, one family a module."""
