"""One file a claim; each writes results/NAME.json."""
