"""`hcluster spec`: write, check and describe YAML files."""
