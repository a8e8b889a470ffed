# @summary Hadoop's configuration of this node: data, what follows from the size of the cluster, the owner's wishes.
#
# @param core_site fixed properties of core-site.xml
# @param hdfs_site fixed properties of hdfs-site.xml
# @param yarn_site fixed properties of yarn-site.xml
# @param mapred_site fixed properties of mapred-site.xml
# @param capacity_scheduler fixed properties of capacity-scheduler.xml
# @param home where the distribution lies
# @param conf_dir where the files go
# @param layer_jars folder of the jars that layers of the image bring
# @param client_heap_mib largest heap of a command
# @param disk_label label of the file systems of this node's disks
# @param disk_wait seconds until the disks must be there
class profile::hadoop (
  Hadoop::Properties $core_site,
  Hadoop::Properties $hdfs_site,
  Hadoop::Properties $yarn_site,
  Hadoop::Properties $mapred_site,
  Hadoop::Properties $capacity_scheduler,
  String[1]          $home,
  String[1]          $conf_dir,
  String[1]          $layer_jars,
  Integer[64]        $client_heap_mib,
  String[1]          $disk_label,
  Integer[1]         $disk_wait,
) {
  include hcluster
  include profile::java
  include profile::memory

  # The jar first and folders last: a class-data archive is good only where the class path begins with its own.
  $classpath = ["${home}/lib/hadoop.jar"]
  $daemon_classpath = $classpath + [$home, $conf_dir]
  $daemon_flags = $profile::java::daemon + [$profile::java::archive['hadoop']]
  # Jars of layers come after everything else, for the same reason, and for no daemon of HDFS and YARN.
  $layers = ["${layer_jars}/*"]
  $environment = {
    'HADOOP_CONF_DIR'    => $conf_dir,
    'HADOOP_COMMON_HOME' => $home,
    'HADOOP_HDFS_HOME'   => $home,
    'HADOOP_MAPRED_HOME' => $home,
    'HADOOP_YARN_HOME'   => $home,
    'JAVA_HOME'          => $profile::java::home,
    # glibc's arenas otherwise cost tens of MiB a daemon.
    'MALLOC_ARENA_MAX'   => '2',
  }

  $data_dirs = $hcluster::storage
  if $hcluster::disks > 0 {
    class { 'volume::disks':
      count  => $hcluster::disks,
      path   => $hcluster::disk_path,
      label  => $disk_label,
      wait   => $disk_wait,
      before => Class['hadoop'],
    }
    $storage_units = ['hcluster-disks.service']
  } else {
    $storage_units = []
  }
  $site = {
    'core-site'          => {},
    'hdfs-site'          => {},
    'yarn-site'          => {},
    'mapred-site'        => {},
    'capacity-scheduler' => {},
  } + $hcluster::site
  # A daemon starts again when its settings change, but not for those that follow from the size of the cluster.
  $hdfs_files = Daemon::Settings['hdfs']
  $yarn_files = Daemon::Settings['yarn']

  $container_classpath = ($classpath + [$conf_dir] + $layers).join(',')
  $opens = ($profile::java::common + $profile::java::opens).join(' ')
  # The shell that starts the container expands it. MapReduce puts the container's own folder first, before the jars; with
  # mapreduce.job.user.classpath.first the job's jars stay before them, and no archive is used.
  $container_flags = "${opens} ${profile::java::archive['hadoop']} -cp \${CLASSPATH#\$PWD:}:\$PWD"
  $task_flags = $profile::java::task.join(' ')
  $container = $profile::memory::task
  # Tens of nodes can beat ten times a second; thousands once.
  $heartbeat = profile::clamp($hcluster::workers * 5, 100, 1000)

  $core = $core_site + $site['core-site']
  $hdfs = $hdfs_site + {
    'dfs.namenode.name.dir'       => "file://${data_dirs[0]}/namenode",
    'dfs.namenode.checkpoint.dir' => "file://${data_dirs[0]}/checkpoint",
    'dfs.datanode.data.dir'       => $data_dirs.map |$dir| { "file://${dir}/datanode" }.join(','),
  }
  $hdfs_of_size = {
    'dfs.replication'                                           => profile::clamp($hcluster::core_nodes, 1, 3),
    # Until a DataNode is there nothing can be written: clients shall wait and not fail.
    'dfs.namenode.safemode.min.datanodes'                       => profile::clamp($hcluster::core_nodes, 0, 1),
    'dfs.namenode.handler.count'                                => profile::clamp($hcluster::workers / 5, 10, 200),
    # There is no node to replace it with.
    'dfs.client.block.write.replace-datanode-on-failure.enable' => $hcluster::core_nodes > 3,
  }
  $yarn = $yarn_site + {
    'yarn.application.classpath'              => $container_classpath,
    'yarn.scheduler.minimum-allocation-mb'    => $profile::memory::step,
    'yarn.nodemanager.resource.memory-mb'     => $profile::memory::yarn,
    'yarn.nodemanager.resource.cpu-vcores'    => $hcluster::vcpus,
    'yarn.nodemanager.local-dirs'             => $data_dirs.map |$dir| { "${dir}/yarn" }.join(','),
    'yarn.nodemanager.log-dirs'               => $data_dirs.map |$dir| { "${dir}/containers" }.join(','),
    'yarn.resourcemanager.fs.state-store.uri' => "file://${data_dirs[0]}/yarn-state",
  }
  $yarn_of_size = {
    'yarn.resourcemanager.nodemanagers.heartbeat-interval-ms' => $heartbeat,
  }
  $mapred = $mapred_site + {
    'mapreduce.application.classpath'          => $container_classpath,
    'mapreduce.map.memory.mb'                  => $container,
    'mapreduce.reduce.memory.mb'               => $container,
    'yarn.app.mapreduce.am.resource.mb'        => $container,
    'mapreduce.job.heap.memory-mb.ratio'       => $profile::memory::heap_percent / 100.0,
    'mapreduce.task.io.sort.mb'                => $profile::memory::task_heap / 5,
    'mapreduce.admin.map.child.java.opts'      => $container_flags,
    'mapreduce.admin.reduce.child.java.opts'   => $container_flags,
    'yarn.app.mapreduce.am.admin-command-opts' => $container_flags,
    'mapreduce.map.java.opts'                  => $task_flags,
    'mapreduce.reduce.java.opts'               => $task_flags,
    'yarn.app.mapreduce.am.command-opts'       => "-Xmx${profile::memory::task_heap}m ${task_flags}",
  }
  $mapred_of_size = {
    'yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms' => $heartbeat,
    'mapreduce.client.progressmonitor.pollinterval'         => $heartbeat * 2,
    'mapreduce.client.completion.pollinterval'              => $heartbeat * 2,
  }

  contain hadoop::class_paths
  class { 'hadoop':
    require            => Class['hadoop::class_paths'],
    conf_dir           => $conf_dir,
    data_dirs          => $data_dirs,
    client_flags       => ["-Xmx${client_heap_mib}m"] + $profile::java::client + [$profile::java::archive['hadoop']],
    core_site          => $core,
    hdfs_site          => $hdfs + $hdfs_of_size + $site['hdfs-site'],
    yarn_site          => $yarn + $yarn_of_size + $site['yarn-site'],
    mapred_site        => $mapred + $mapred_of_size + $site['mapred-site'],
    capacity_scheduler => $capacity_scheduler + $site['capacity-scheduler'],
  }

  $core_text = hadoop::xml($core)
  daemon::settings {
    'hdfs':
      text  => "${core_text}${hadoop::xml($hdfs + $site['hdfs-site'])}",
      files => ["${conf_dir}/core-site.xml", "${conf_dir}/hdfs-site.xml"],
      ;
    'yarn':
      text  => [
        $core_text,
        hadoop::xml($yarn + $site['yarn-site']),
        hadoop::xml($mapred + $site['mapred-site']),
        hadoop::xml($capacity_scheduler + $site['capacity-scheduler']),
      ].join,
      files => ['core-site', 'yarn-site', 'mapred-site', 'capacity-scheduler'].map |$file| { "${conf_dir}/${file}.xml" },
      ;
  }
}
