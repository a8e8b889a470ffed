"""hcluster: Hadoop clusters on the cloud, yours, fast and cheap."""
