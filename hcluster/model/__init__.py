"""Plain values that every layer speaks in."""
