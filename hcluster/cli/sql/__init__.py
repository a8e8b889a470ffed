"""`hcluster sql`: one statement, a file of them, or a prompt."""
