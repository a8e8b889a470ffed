# What a node can be; image and validate are for the bake.
type Hcluster::Role = Enum['master', 'core', 'task', 'platform', 'image', 'validate']
