# The content of one configuration file: property names and values.
type Hadoop::Properties = Hash[String[1], Variant[String, Numeric, Boolean]]
