"""Who is who: certificates, trust, two-way authentication."""
