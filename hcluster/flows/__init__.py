"""The verbs: what a command does, in terms of ports and pure plans; progress goes out as events."""
