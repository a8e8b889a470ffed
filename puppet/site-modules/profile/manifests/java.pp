# @summary Flags of the JVM for daemons, commands and containers.
#
# @param home JAVA_HOME
# @param opens what JDK 17 must open to Hadoop and Hive
# @param common flags of every JVM
# @param small flags of JVMs on small nodes and in small containers: they start faster and take less memory
# @param archives folder of the class-data archives; each is good for the class path of its name
class profile::java (
  String[1]        $home,
  Array[String[1]] $opens,
  Array[String[1]] $common,
  Array[String[1]] $small,
  String[1]        $archives,
) {
  include profile::memory

  $base = $common + $opens
  $daemon = $base + ($profile::memory::small_node ? { true => $small, default => [] })
  # A JVM that cannot use its archive starts all the same, later; `hcluster-node archives` tells.
  $archive = Hash(['hadoop', 'tez', 'hive', 'metastore'].map |$name| {
      [$name, "-XX:SharedArchiveFile=${archives}/${name}.jsa"]
  })
  # Commands live for seconds: the quick compiler is the right one on every node.
  $client = $base + $small
  # What the owner of a job may replace, and what must stay.
  $task = $profile::memory::small_task ? { true => $small, default => [] }
}
