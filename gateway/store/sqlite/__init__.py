"""Two SQLite files, state and catalog, each with one writer thread."""
