# @summary How the memory of this node is shared out; see data/memory.yaml for the arithmetic.
#
# @param table lines by role and by unit
# @param step containers are multiples of it, in MiB
# @param container smallest and largest usual container, in MiB
# @param containers_per_worker how many containers a worker should take at least
# @param heap_percent share of a container that is its heap
# @param small_mib machines and containers up to this size get the JVM flags for small ones
class profile::memory (
  Hash[Hcluster::Role, Hash[String[1], Profile::Share]] $table,
  Integer[1]                                            $step,
  Tuple[Integer[1], Integer[1]]                         $container,
  Integer[1]                                            $containers_per_worker,
  Integer[1, 100]                                       $heap_percent,
  Integer[1]                                            $small_mib,
) {
  include hcluster

  $memory = $hcluster::memory_mib
  # What this node runs.
  $shares = $table[$facts['hcluster_role']].filter |$unit, $share| {
    $hcluster::metastore_here or !($unit in ['mariadb', 'hive-metastore'])
  }

  $heap = Hash($shares.map |$unit, $share| {
      [$unit, profile::clamp($memory * $share['percent'] / 100, $share['least'], $share['most'])]
  })
  $limit = Hash($shares.map |$unit, $share| {
      [$unit, $share['limit'] ? { false => undef, default => $heap[$unit] + 2 * $share['beside'] }]
  })
  $used = $shares.reduce(0) |$sum, $entry| { $sum + $heap[$entry[0]] + $entry[1]['beside'] }

  # What YARN may hand out on this node.
  $yarn = max($container[0], ($memory - $used) / $step * $step)

  # The usual container of the cluster's applications. They are submitted on the master and run on the workers.
  $worker = $hcluster::worker_memory_mib ? { 0 => $memory, default => $hcluster::worker_memory_mib }
  $task = profile::clamp($worker / $containers_per_worker / $container[0] * $container[0], $container[0], $container[1])
  $task_heap = $task * $heap_percent / 100

  # What YARN may hand out on all workers together, as if all were core nodes: task nodes have a little more.
  $worker_used = $table['core'].reduce(0) |$sum, $entry| {
    $line = $entry[1]
    $sum + profile::clamp($worker * $line['percent'] / 100, $line['least'], $line['most']) + $line['beside']
  }
  $cluster_yarn = $hcluster::workers * max($container[0], ($worker - $worker_used) / $step * $step)
  # Whether a session that Hive keeps warm leaves room for a job beside it: for its ApplicationMaster and one container.
  $roomy = $cluster_yarn >= 3 * $task

  $small_node = $memory <= $small_mib
  $small_task = $task <= $small_mib / 4
}
