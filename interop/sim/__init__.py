"""Simulators: cameras, a lower platform, an upper platform. A second opinion on the wire.

They use `sip`, and read and write MANSCDP, SDP, RTP and PS by themselves, so that a mistake of the
gateway's formats is not made twice.
"""
