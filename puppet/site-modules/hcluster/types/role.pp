# What a node can be; image, layer and validate are for the bake.
type Hcluster::Role = Enum['master', 'core', 'task', 'platform', 'image', 'layer', 'validate']
