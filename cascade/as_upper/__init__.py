"""Our face towards those below: registrar, catalog sync, player."""
