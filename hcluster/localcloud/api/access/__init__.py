"""What each request needs to be allowed, and whether its caller's policies allow it."""
