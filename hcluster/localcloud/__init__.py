"""The embedded cloud: EC2-compatible API on one Linux machine, its instances real nodes in namespaces of their own."""
