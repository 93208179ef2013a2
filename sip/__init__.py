"""SIP (RFC 3261) for Python over the native engine. Nothing of GB/T 28181 is known here."""
