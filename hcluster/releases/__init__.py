"""Puppet releases: packed reproducibly, addressed by their content, published to a channel."""
