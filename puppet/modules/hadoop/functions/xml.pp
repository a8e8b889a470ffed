# @summary Text of a Hadoop configuration file, properties in alphabetical order.
#
# @param properties names and values
#
# @return [String] the XML
function hadoop::xml(Hadoop::Properties $properties) >> String {
  $escape = { '&' => '&amp;', '<' => '&lt;', '>' => '&gt;' }
  $lines = $properties.keys.sort.map |$name| {
    $value = String($properties[$name]).regsubst('[&<>]', $escape, 'G')
    "  <property><name>${name}</name><value>${value}</value></property>\n"
  }
  "<?xml version=\"1.0\"?>\n<!-- Written by Puppet: changes do not last. -->\n<configuration>\n${lines.join}</configuration>\n"
}
