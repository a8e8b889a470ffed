"""`hcluster local`: the embedded cloud, and faults for it."""
