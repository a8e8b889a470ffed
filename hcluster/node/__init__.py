"""What runs on a node: one small program, baked into the image and versioned with it."""
