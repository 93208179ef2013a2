"""Who is who: identities of the two sides, the authority that certifies them, and what is trusted."""
