"""`hcluster job`: run, list, kill, logs."""
