# @summary What the bootstrap looks at before it calls this node ready.
#
# @param checks units that must be active, with a port that must be open; 0 means none
# @param smoke smoke tests: the text of each by its name
class hcluster_node::health (
  Array[Struct[{ name => String[1], unit => String[1], host => String[1], port => Integer[0, 65535] }]] $checks,
  Hash[String[1], String[1]] $smoke,
) {
  $lines = $checks.map |$check| {
    $fields = $check.map |$key, $value| {
      $shown = $value ? { Integer => $value, default => "\"${value}\"" }
      "\"${key}\": ${shown}"
    }
    " {${fields.join(', ')}}"
  }

  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    '/etc/hcluster/health.json':
      mode    => '0644',
      content => "[\n${lines.join(",\n")}\n]\n",
      ;
    '/etc/hcluster/smoke.d':
      ensure  => directory,
      mode    => '0755',
      recurse => true,
      purge   => true,
      ;
  }

  $smoke.each |$name, $text| {
    file { "/etc/hcluster/smoke.d/${name}":
      owner   => 'root',
      group   => 'root',
      mode    => '0755',
      content => $text,
    }
  }
}
