"""The lock: gate, policy, audit, codec and links. No wire format is known here."""
