"""Schemas of platform.yaml and cluster.yaml; each field is declared once, with its documentation and change policy."""
