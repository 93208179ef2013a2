"""What happened to one channel, peer or question: kept by the running gateway, drawn for whoever asks."""
