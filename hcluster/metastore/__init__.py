"""The shared Hive metastore: its client and the registry of clusters that lives in it."""
