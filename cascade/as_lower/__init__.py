"""Our face towards those above: registrant, sharing, answers, invite."""
