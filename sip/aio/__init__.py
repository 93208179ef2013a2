"""The driver: the only part of `sip` that knows asyncio."""
