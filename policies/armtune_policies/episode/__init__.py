"""How practice goes round: forward and backward in turn, and when an episode ends."""
