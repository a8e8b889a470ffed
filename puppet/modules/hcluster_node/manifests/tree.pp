# @summary A folder that is what an archive holds; unpacked anew when the archive is newer; the title is the folder.
#
# @param archive archive that tar and zstd can read
# @param finish command to run in the fresh folder
define hcluster_node::tree (
  String[1] $archive,
  String[1] $finish = 'true',
) {
  $fresh = "${title}.fresh"
  $steps = [
    "rm -rf ${fresh}",
    "mkdir -p ${fresh}",
    "tar --zstd --extract --no-same-owner --file ${archive} --directory ${fresh}",
    "(cd ${fresh} && ${finish})",
    "touch ${fresh}/.unpacked",
    "rm -rf ${title}",
    "mv ${fresh} ${title}",
  ]

  exec { "unpack ${archive}":
    command  => $steps.join(' && '),
    provider => shell,
    path     => ['/usr/sbin', '/usr/bin', '/sbin', '/bin'],
    unless   => "test ! -e ${archive} || test ${title}/.unpacked -nt ${archive}",
    timeout  => 600,
  }
}
