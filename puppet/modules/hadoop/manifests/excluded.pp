# @summary The workers that HDFS and YARN are to empty, as their masters read them.
#
# The daemons read the files when they start; hcluster-node lets them be read again when they have changed.
#
# @param conf_dir where the files go
# @param hdfs addresses
# @param yarn host names
class hadoop::excluded (
  String[1]        $conf_dir,
  Array[String[1]] $hdfs,
  Array[String[1]] $yarn,
) {
  $lists = { 'hdfs' => $hdfs, 'yarn' => $yarn }

  $lists.each |$name, $nodes| {
    file { "${conf_dir}/${name}.exclude":
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => $nodes.map |$node| { "${node}\n" }.join,
    }
  }
}
