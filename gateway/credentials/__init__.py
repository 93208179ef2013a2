"""What proves our peers to us and us to them: sealed in one file, its key in another."""
