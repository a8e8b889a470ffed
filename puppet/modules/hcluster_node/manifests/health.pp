# @summary What the bootstrap looks at before it calls this node ready.
#
# @param checks units that must be active, with a port that must be open; 0 means none
# @param joins pages that hold a text once the cluster has taken this node in
# @param smoke smoke tests: the text of each by its name
class hcluster_node::health (
  Array[Struct[{ name => String[1], unit => String[1], host => String[1], port => Integer[0, 65535] }]] $checks,
  Array[Struct[{ name => String[1], unit => String[1], url => String[1], text => String[1] }]] $joins,
  Hash[String[1], String[1]] $smoke,
) {
  $files = { 'health' => $checks, 'joins' => $joins }
  $texts = $files.map |$name, $items| {
    $lines = $items.map |$item| {
      $fields = $item.map |$key, $value| {
        $shown = $value ? { Integer => $value, default => "\"${value.regsubst('[\\\\"]', '\\\\\\0', 'G')}\"" }
        "\"${key}\": ${shown}"
      }
      " {${fields.join(', ')}}"
    }
    [$name, "[\n${lines.join(",\n")}\n]\n"]
  }

  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    '/etc/hcluster/smoke.d':
      ensure  => directory,
      mode    => '0755',
      recurse => true,
      purge   => true,
      ;
  }

  $texts.each |$entry| {
    file { "/etc/hcluster/${entry[0]}.json":
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => $entry[1],
    }
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
